"""The epochs of a training: steps, validation, checkpoints, and what is told of them.

The films of an epoch, their order and what is drawn follow from the seed and the epoch. Weights,
optimiser, position and random state are in the checkpoint, so a killed training that is run again
ends with the same numbers.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from pneumo_core.errors import TrainingError
from pneumo_core.models.compute import Device
from pneumo_core.models.randomness import random_state, seeded, set_random_state
from pneumo_core.models.strategies import set_train_mode
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training.batches import Fetch
from pneumo_core.training.checkpoints import Checkpoint
from pneumo_core.training.events import EpochEnded, Sink, Started, Stepped
from pneumo_core.training.processes import Processes
from pneumo_core.training.steps import Step, learning_rate
from pneumo_core.training.waiting import DataWait

EVAL_BATCH_SIZE = 64
SAVE_EVERY_S = 300.0  # within an epoch; at the end of each it is saved in any case


@dataclass(frozen=True)
class Examples:
    fetch: Fetch
    labels: npt.NDArray[np.int64]


class Epochs:
    """`run` once; the attributes tell what came of it."""

    def __init__(
        self,
        name: str,
        strategy: Strategy,
        params: TrainParams,
        learner: nn.Module,
        device: Device,
        train: Examples,
        val: Examples,
        checkpoint: Checkpoint,
        sink: Sink,
    ) -> None:
        self.history: list[dict[str, float]] = []  # an entry an epoch
        self.steps_s = self.validation_s = 0.0
        self.wait = DataWait(sink)
        self._name, self._strategy, self._params = name, strategy, params
        self._learner, self._device = learner, device
        self._train, self._val, self._checkpoint, self._sink = train, val, checkpoint, sink
        self._processes = Processes.here()
        self._optimizer = _optimizer(learner, params, params.of(strategy).lr)
        self._step = Step(
            learner,
            self._optimizer,
            train.labels,
            train.fetch,
            params,
            device,
            self.wait,
            sink,
        )
        self._num_steps = len(train.labels) // params.batch_size or 1
        self._steps_done = 0  # of the epoch
        self._loss_sum = torch.zeros((), device=device.torch_device)  # of their films
        self._saved_at = time.monotonic()

    def run(self) -> None:
        random = self._resume()
        num_epochs = self._params.of(self._strategy).epochs
        num_films = len(self._train.labels)
        num_trainable = sum(p.numel() for p in self._learner.parameters() if p.requires_grad)
        from_image = sum(map(len, self._batches(len(self.history) + 1)[: self._steps_done]))
        self._sink(
            Started(self._name, num_epochs, num_films, num_trainable, len(self.history), from_image)
        )
        with self.wait:
            for epoch in range(len(self.history) + 1, num_epochs + 1):
                if self._no_longer_improves():
                    break
                self._one(epoch, random)
                random = None

    def _no_longer_improves(self) -> bool:
        patience = self._params.patience_epochs
        losses = [entry["val_loss"] for entry in self.history]
        if patience is None or len(losses) <= patience:
            return False
        return min(losses[-patience:]) >= min(losses[:-patience])

    def _one(self, epoch: int, random: list[torch.Tensor] | None) -> None:
        begun, waited_before = time.perf_counter(), self.wait.seconds
        num_images = self._learn(epoch, random)
        loss = float(self._loss_sum) / len(self._train.labels)  # here the GPU is waited for
        self._require_finite(loss)
        seconds, waited = time.perf_counter() - begun, self.wait.seconds - waited_before
        self.steps_s += seconds - waited

        val_loss, val_auroc = self._validate()
        rate = self._optimizer.param_groups[0]["lr"]
        self.history.append(
            {"epoch": epoch, "learning_rate": rate, "train_loss": loss}
            | {"val_loss": val_loss, "val_auroc": val_auroc}
        )
        self._steps_done = 0
        self._loss_sum = torch.zeros_like(self._loss_sum)
        self._save()
        self._sink(
            EpochEnded(
                epoch,
                rate,
                loss,
                val_loss,
                val_auroc,
                num_images / seconds,
                waited / seconds,
            )
        )

    def _batches(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        draws = np.random.default_rng([self._params.seed, epoch])
        return np.array_split(draws.permutation(len(self._train.labels)), self._num_steps)

    def _learn(self, epoch: int, random: list[torch.Tensor] | None) -> int:
        """Returns the number of images; goes on within the epoch where `random` was saved."""
        num_images = 0
        steps_before = (epoch - 1) * self._num_steps
        seed = self._params.seed * 100_003 + epoch + self._processes.rank * 1_000_000_007
        set_train_mode(self._learner)
        with seeded(seed, self._device):  # dropout, stochastic depth
            if random is not None:
                set_random_state(random)
            for step, rows in list(enumerate(self._batches(epoch)))[self._steps_done :]:
                rate = self._rate(steps_before + step)
                self._loss_sum += self._step(rows, rate) * len(rows)
                self._steps_done = step + 1
                num_images += len(rows)
                self._sink(Stepped(epoch, step, len(rows)))
                if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
                    self._require_finite(float(self._loss_sum))
                    self._save()
        return num_images

    def _rate(self, step: int) -> float:
        chosen = self._params.of(self._strategy)
        return learning_rate(self._params.schedule, chosen.lr, step, self._num_steps, chosen.epochs)

    def _resume(self) -> list[torch.Tensor] | None:
        """The random state that the interrupted epoch had come to."""
        state = self._checkpoint.load()
        if state is None:
            return None
        self._learner.load_state_dict(state["learner"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.history, self._steps_done = state["history"], state["steps_done"]
        self._loss_sum = state["loss_sum"].to(self._device.torch_device)
        self._step.micro_batch_size = state["micro_batch_size"]
        random: list[torch.Tensor] = state["random"]
        return random if self._steps_done else None

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._processes.rank == 0:
            self._checkpoint.save(
                learner=self._learner.state_dict(),
                optimizer=self._optimizer.state_dict(),
                history=self.history,
                steps_done=self._steps_done,
                loss_sum=self._loss_sum,
                micro_batch_size=self._step.micro_batch_size,
                random=random_state(self._device),
            )

    def _validate(self) -> tuple[float, float]:
        """(loss, AUROC), by the first process for all."""
        begun, waited_before = time.perf_counter(), self.wait.seconds
        found = self._judge() if self._processes.rank == 0 else (0.0, 0.0)
        loss, auroc = self._processes.broadcast(found)
        self._require_finite(loss)  # the last step of an epoch may be the one that went too far
        self.validation_s += time.perf_counter() - begun - (self.wait.seconds - waited_before)
        return loss, auroc

    def _judge(self) -> tuple[float, float]:
        self._learner.eval()
        labels = self._val.labels
        parts = []
        with torch.inference_mode(), self._device.autocast(training=True):
            for start in range(0, len(labels), EVAL_BATCH_SIZE):
                with self.wait.timed():
                    x = self._val.fetch(np.arange(start, min(start + EVAL_BATCH_SIZE, len(labels))))
                parts.append(self._learner(x))
        logits_NK = torch.cat(parts).float().cpu()
        loss = float(nn.functional.cross_entropy(logits_NK, torch.tensor(labels)))
        margin = (logits_NK[:, 1] - logits_NK[:, 0]).numpy()
        return loss, float(roc_auc_score(labels, margin)) if math.isfinite(loss) else 0.0

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            lr = self._params.of(self._strategy).lr
            raise TrainingError(
                f"{self._name}: the loss is {loss}. "
                f"Lower train.{self._strategy.value}.lr (now {lr:g})."
            )


def _optimizer(learner: nn.Module, params: TrainParams, lr: float) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    trained = [p for p in learner.parameters() if p.requires_grad]
    return kind(trained, lr=lr, weight_decay=params.weight_decay, fused=True)
