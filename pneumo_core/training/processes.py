"""One cell on several processes, started by torchrun: each takes its part of every batch.

Gradients are added up, so the weights are those of one process up to rounding. The exceptions are
layers that see their own part only: batch-norm that trains has the statistics of a part, and random
layers draw for a part.
"""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed

PATIENCE = datetime.timedelta(days=1)  # the others wait while the first computes features


@dataclass(frozen=True)
class Processes:
    rank: int  # the first, 0, writes, validates and tells
    size: int

    @classmethod
    def here(cls) -> "Processes":
        """Those that were joined; otherwise this one alone."""
        if not distributed.is_initialized():
            return cls(0, 1)
        return cls(distributed.get_rank(), distributed.get_world_size())

    def shard(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.array_split(rows, self.size)[self.rank]

    def all_reduce(self, tensors: Sequence[torch.Tensor]) -> None:
        """Puts the sum over all processes in place of each tensor."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def broadcast(self, values: Sequence[float]) -> list[float]:
        """What the first one gives, everywhere."""
        told = list(values)
        if self.size > 1:
            distributed.broadcast_object_list(told, src=0)
        return told

    @contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """The others go through after the first one, and find what it left on disk."""
        if self.rank > 0:
            distributed.barrier()
        yield
        if self.rank == 0 and self.size > 1:
            distributed.barrier()


@contextmanager
def joined() -> Iterator[Processes]:
    """Under torchrun, connects with the others; the GPU must be chosen before."""
    if not distributed.is_torchelastic_launched():
        yield Processes.here()
        return
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes.here()
    finally:
        distributed.destroy_process_group()
