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
from pneumo_core.models.compute import guard_backward, lighten_backward
from pneumo_core.params import TrainParams
from pneumo_core.training.batches import Fetch, Rows
from pneumo_core.training.context import Context
from pneumo_core.training.events import MicroBatchHalved
from pneumo_core.training.waiting import DataWait


class Step:
    """Learns from whole batches, in parts where memory or several processes require it.

    The loss of a batch is a mean weighted by class. A part counts by its weight in the batch, so
    the parts give the gradient of the whole up to rounding. The exceptions are batch-norm layers
    that train, which see one part at a time, and random layers.
    """

    def __init__(
        self,
        context: Context,
        learner: nn.Module,
        labels: npt.NDArray[np.int64],
        fetch: Fetch,
        wait: DataWait,
    ) -> None:
        params, self._device = context.params, context.device
        if not self._device.is_cuda:
            guard_backward(learner)
            lighten_backward(learner)
        self.optimizer = make_optimizer(learner, params, context.schedule.lr)
        self.micro_batch_size: int | None = None  # None: as large as the batch
        self._context, self._learner, self._fetch, self._wait = context, learner, fetch, wait
        self._trained = [p for p in learner.parameters() if p.requires_grad]
        self._labels = torch.tensor(labels, device=self._device.torch_device)
        self._weight_of_row = np.asarray(params.class_weights)[labels]
        self._mean_loss = nn.CrossEntropyLoss(
            torch.tensor(params.class_weights, device=self._device.torch_device),
            label_smoothing=params.label_smoothing,
        )

    def __call__(self, rows: Rows, learning_rate: float) -> torch.Tensor:
        """Return the loss of the batch before the step, on the device.

        Raises:
            TrainingError: there is no memory for a single film.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = None
        while loss is None:  # memory ran out: the same batch again, in smaller parts
            loss = self._differentiate(rows)
        gradients = [p.grad for p in self._trained if p.grad is not None]
        self._context.processes.all_reduce([*gradients, loss])
        self.optimizer.step()
        return loss

    def _differentiate(self, rows: Rows) -> torch.Tensor | None:
        """Leave the gradient in the parameters and return the loss; None: memory ran out."""
        own = self._context.processes.shard(rows)
        size = min(self.micro_batch_size or len(own), len(own))
        weight = self._weight_of_row[rows].sum()
        total = torch.zeros((), device=self._device.torch_device)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            for part in np.array_split(own, -(-len(own) // size)):
                with self._wait.timed():
                    x = self._fetch(part)
                    y_B = self._labels[self._device.send(torch.from_numpy(part))]
                with self._device.autocast():
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
        self.optimizer.zero_grad(set_to_none=True)
        self.micro_batch_size = -(-size // 2)
        if self._device.is_cuda:
            torch.cuda.empty_cache()
        self._context.sink(MicroBatchHalved(self.micro_batch_size))
        return None


def make_optimizer(learner: nn.Module, params: TrainParams, lr: float) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    trained = [p for p in learner.parameters() if p.requires_grad]
    return kind(trained, lr=lr, weight_decay=params.weight_decay, fused=True)


def learning_rate(
    kind: Literal["step", "one_cycle"], peak: float, step: int, num_steps: int, num_epochs: int
) -> float:
    """Return the rate of a step: `one_cycle` is warm-up, then cosine; `step` is the study's StepLR.

    StepLR divides by ten every 7 epochs.

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
