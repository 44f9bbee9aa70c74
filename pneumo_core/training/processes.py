"""One cell on several processes, started by torchrun: each takes its part of every batch.

Gradients are summed, so the weights are those of one process up to rounding. Two kinds of layers
see their own part only. Random layers draw for a part. Batch-norm that trains normalises by the
statistics of a part; the running statistics, which validation and the finished model use, are
averaged over the processes. torch's SyncBatchNorm is not used: a process that runs out of memory
halves its parts by itself, and the others would wait for it inside the layer for ever.
"""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

PATIENCE = datetime.timedelta(days=1)  # the others wait while the first computes features


@dataclass(frozen=True)
class Processes:
    rank: int  # 0 writes, validates and sends events
    size: int

    @classmethod
    def here(cls) -> "Processes":
        """Return the processes that were joined, or this one alone."""
        if not distributed.is_initialized():
            return cls(0, 1)
        return cls(distributed.get_rank(), distributed.get_world_size())

    def shard(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.array_split(rows, self.size)[self.rank]

    def all_reduce(self, tensors: Sequence[torch.Tensor]) -> None:
        """Put the sum over all processes in place of each tensor."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def broadcast(self, values: Sequence[float]) -> list[float]:
        """Return rank 0's values in every process."""
        values = list(values)
        if self.size > 1:
            distributed.broadcast_object_list(values, src=0)
        return values

    def average_batch_statistics(self, learner: nn.Module) -> None:
        """Average the running statistics of the batch-norm layers that are in train mode."""
        if self.size == 1:
            return
        statistics = [
            buffer
            for layer in learner.modules()
            if isinstance(layer, _BatchNorm) and layer.training
            for buffer in (layer.running_mean, layer.running_var)
            if buffer is not None
        ]
        self.all_reduce(statistics)
        for buffer in statistics:
            buffer /= self.size

    @contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """Let the others go through after rank 0, so that they find what it left on disk."""
        if self.rank > 0:
            distributed.barrier()
        yield
        if self.rank == 0 and self.size > 1:
            distributed.barrier()


@contextmanager
def joined() -> Iterator[Processes]:
    """Connect with the other processes of torchrun; choose the GPU before."""
    if not distributed.is_torchelastic_launched():
        yield Processes.here()
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes.here()
    finally:
        distributed.destroy_process_group()
