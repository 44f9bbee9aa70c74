"""One step: from the row numbers of a batch to changed weights.

Nothing in it waits for the GPU, so the next batch is read while the last one is computed.
"""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pneumo_core.errors import TrainingError
from pneumo_core.models.compute import Device
from pneumo_core.params import TrainParams
from pneumo_core.training.batches import Fetch, Rows
from pneumo_core.training.events import MicroBatchHalved, Sink
from pneumo_core.training.processes import Processes
from pneumo_core.training.waiting import DataWait


class Step:
    """Learns from whole batches, in parts where memory or several processes ask for it.

    The loss of a batch is a mean weighted by class. A part counts by its weight in the batch, so
    the parts give the gradient of the whole up to rounding. The exceptions are batch-norm layers
    that train, which see one part at a time, and layers that draw.
    """

    def __init__(
        self,
        learner: nn.Module,
        optimizer: torch.optim.Optimizer,
        labels: npt.NDArray[np.int64],
        fetch: Fetch,
        params: TrainParams,
        device: Device,
        wait: DataWait,
        sink: Sink,
    ) -> None:
        self.micro_batch_size: int | None = None  # None: as large as the batch
        self._learner, self._optimizer, self._fetch = learner, optimizer, fetch
        self._device, self._wait, self._sink = device, wait, sink
        self._processes = Processes.here()
        self._trained = [p for p in learner.parameters() if p.requires_grad]
        self._labels = torch.tensor(labels, device=device.torch_device)
        self._weight_of_row = np.asarray(params.class_weights)[labels]
        self._mean_loss = nn.CrossEntropyLoss(
            torch.tensor(params.class_weights, device=device.torch_device),
            label_smoothing=params.label_smoothing,
        )

    def __call__(self, rows: Rows, learning_rate: float) -> torch.Tensor:
        """The loss of the batch before the step, on the device.

        Raises:
            TrainingError: there is no memory for a single film.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        loss = None
        while loss is None:  # memory ran out: the same batch again, in smaller parts
            loss = self._differentiate(rows)
        gradients = [p.grad for p in self._trained if p.grad is not None]
        self._processes.all_reduce([*gradients, loss])
        self._optimizer.step()
        return loss

    def _differentiate(self, rows: Rows) -> torch.Tensor | None:
        """Leaves the gradient in the parameters; None where memory ran out."""
        own = self._processes.shard(rows)
        size = min(self.micro_batch_size or len(own), len(own))
        weight = self._weight_of_row[rows].sum()
        total = torch.zeros((), device=self._device.torch_device)
        self._optimizer.zero_grad(set_to_none=True)
        try:
            for part in np.array_split(own, -(-len(own) // size)):
                with self._wait.timed():
                    x, y_B = (
                        self._fetch(part),
                        self._labels[self._device.send(torch.from_numpy(part))],
                    )
                with self._device.autocast(training=True):
                    loss = self._mean_loss(self._learner(x), y_B)
                loss = loss * float(self._weight_of_row[part].sum() / weight)
                loss.backward()
                total += loss.detach()
        except torch.OutOfMemoryError as error:
            if size == 1:
                raise TrainingError(
                    "Out of memory with a single film: train with a smaller "
                    "validate.image_size_px, a smaller model or fewer trained layers."
                ) from error
        else:
            return total
        # Out here the error is gone, and with it what its traceback held on to.
        self._optimizer.zero_grad(set_to_none=True)
        self.micro_batch_size = -(-size // 2)
        if self._device.is_cuda:
            torch.cuda.empty_cache()
        self._sink(MicroBatchHalved(self.micro_batch_size))
        return None


def learning_rate(
    kind: Literal["step", "one_cycle"], peak: float, step: int, num_steps: int, num_epochs: int
) -> float:
    """`step`: the study's StepLR, a tenth every 7 epochs. `one_cycle`: warm-up, then cosine.

    Args:
        step: from the first one of the training, from 0.
        num_steps: of an epoch.
    """
    if kind == "step":
        return peak * 0.1 ** (step // num_steps // 7)
    total = num_epochs * num_steps
    warm_up = max(1, total // 10)
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up)))
