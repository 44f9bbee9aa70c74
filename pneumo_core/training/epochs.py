"""The epochs of a training: steps, validation, checkpoints and events.

The films of an epoch and their order follow from the seed and the epoch, what random layers draw
from the seed, the epoch, the step and the process. Weights, optimiser and position are in the
checkpoint, so a killed training that is run again ends with the same numbers.
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
from pneumo_core.models.randomness import seed_draws, seeded
from pneumo_core.models.strategies import set_train_mode
from pneumo_core.training.batches import Fetch
from pneumo_core.training.checkpoints import Checkpoint
from pneumo_core.training.context import Context
from pneumo_core.training.events import EpochEnded, Started, Stepped
from pneumo_core.training.steps import Step, learning_rate
from pneumo_core.training.waiting import DataWait

EVAL_BATCH_SIZE = 64
SAVE_EVERY_S = 300.0  # within an epoch; at the end of each it is saved in any case


@dataclass(frozen=True)
class Examples:
    fetch: Fetch
    labels: npt.NDArray[np.int64]


class Epochs:
    """`run` once; then the learner is trained and the attributes say how."""

    def __init__(
        self,
        context: Context,
        learner: nn.Module,
        train: Examples,
        val: Examples,
        checkpoint: Checkpoint,
    ) -> None:
        self.history: list[dict[str, float]] = []  # an entry an epoch
        self.steps_s = self.validation_s = 0.0
        self.wait = DataWait(context.sink)
        self._context, self._params = context, context.params
        self._learner, self._train, self._val = learner, train, val
        self._checkpoint = checkpoint
        self._step = Step(context, learner, train.labels, train.fetch, self.wait)
        self._best: dict[str, torch.Tensor] | None = None  # weights, where patience is set
        self._num_steps = len(train.labels) // self._params.batch_size or 1
        self._steps_done = 0  # of the epoch
        self._loss_sum = torch.zeros((), device=context.device.torch_device)  # of their films
        self._saved_at = time.monotonic()

    @property
    def kept(self) -> dict[str, float]:
        """The entry of the epoch whose weights are kept: the last; with patience, the best."""
        if self._params.patience_epochs is None:
            return self.history[-1]
        return min(self.history, key=lambda entry: entry["val_loss"])

    def run(self) -> None:
        self._resume()
        num_epochs = self._context.schedule.epochs
        num_films = len(self._train.labels)
        num_trainable = sum(p.numel() for p in self._learner.parameters() if p.requires_grad)
        from_image = sum(map(len, self._batches(len(self.history) + 1)[: self._steps_done]))
        name, num_done = self._context.cell.name, len(self.history)
        self._context.sink(
            Started(name, num_epochs, num_films, num_trainable, num_done, from_image)
        )
        with self.wait:
            for epoch in range(num_done + 1, num_epochs + 1):
                if self._no_longer_improves():
                    break
                self._one(epoch)
        if self._best is not None:
            self._learner.load_state_dict(self._best)

    def _no_longer_improves(self) -> bool:
        patience = self._params.patience_epochs
        losses = [entry["val_loss"] for entry in self.history]
        if patience is None or len(losses) <= patience:
            return False
        return min(losses[-patience:]) >= min(losses[:-patience])

    def _one(self, epoch: int) -> None:
        begun, waited_before = time.perf_counter(), self.wait.seconds
        num_images = self._learn(epoch)
        loss = float(self._loss_sum) / len(self._train.labels)  # here the GPU is waited for
        self._require_finite(loss)
        seconds, waited = time.perf_counter() - begun, self.wait.seconds - waited_before
        self.steps_s += seconds - waited

        val_loss, val_auroc = self._validate()
        rate = self._step.optimizer.param_groups[0]["lr"]
        self.history.append(
            {"epoch": epoch, "learning_rate": rate, "train_loss": loss}
            | {"val_loss": val_loss, "val_auroc": val_auroc}
        )
        if self._params.patience_epochs is not None and self.kept is self.history[-1]:
            state = self._learner.state_dict()
            self._best = {name: tensor.detach().clone() for name, tensor in state.items()}
        self._steps_done = 0
        self._loss_sum = torch.zeros_like(self._loss_sum)
        self._save()
        self._context.sink(
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

    def _learn(self, epoch: int) -> int:
        """Take the steps of the epoch that are left and return their number of images."""
        num_images = 0
        steps_before = (epoch - 1) * self._num_steps
        set_train_mode(self._learner)
        with seeded(self._params.seed, self._context.device):  # dropout, stochastic depth
            for step, rows in list(enumerate(self._batches(epoch)))[self._steps_done :]:
                self._seed(epoch, step)
                rate = self._rate(steps_before + step)
                self._loss_sum += self._step(rows, rate) * len(rows)
                self._steps_done = step + 1
                num_images += len(rows)
                self._context.sink(Stepped(epoch, step, len(rows)))
                if time.monotonic() - self._saved_at >= SAVE_EVERY_S:
                    self._require_finite(float(self._loss_sum))
                    self._save()
        return num_images

    def _seed(self, epoch: int, step: int) -> None:
        """Seed what random layers draw in a step, differently in each process."""
        position = [self._params.seed, epoch, step, self._context.processes.rank]
        drawn = int(np.random.SeedSequence(position).generate_state(1)[0])
        seed_draws(drawn, self._context.device)

    def _rate(self, step: int) -> float:
        of = self._context.schedule
        return learning_rate(self._params.schedule, of.lr, step, self._num_steps, of.epochs)

    def _resume(self) -> None:
        state = self._checkpoint.load()
        if state is None:
            return
        self._learner.load_state_dict(state["learner"])
        self._step.optimizer.load_state_dict(state["optimizer"])
        self.history, self._steps_done = state["history"], state["steps_done"]
        self._loss_sum = state["loss_sum"].to(self._context.device.torch_device)
        self._step.micro_batch_size, self._best = state["micro_batch_size"], state["best"]

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if self._context.processes.rank == 0:
            self._checkpoint.save(
                learner=self._learner.state_dict(),
                optimizer=self._step.optimizer.state_dict(),
                best=self._best,
                history=self.history,
                steps_done=self._steps_done,
                loss_sum=self._loss_sum,
                micro_batch_size=self._step.micro_batch_size,
            )

    def _validate(self) -> tuple[float, float]:
        """Return (loss, AUROC), which rank 0 computes for all."""
        begun, waited_before = time.perf_counter(), self.wait.seconds
        processes = self._context.processes
        processes.average_batch_statistics(self._learner)
        found = self._judge() if processes.rank == 0 else (0.0, 0.0)
        loss, auroc = processes.broadcast(found)
        self._require_finite(loss)  # the last step of an epoch may be the one that went too far
        self.validation_s += time.perf_counter() - begun - (self.wait.seconds - waited_before)
        return loss, auroc

    def _judge(self) -> tuple[float, float]:
        self._learner.eval()
        labels = self._val.labels
        parts = []
        with torch.inference_mode(), self._context.device.autocast():
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
            cell = self._context.cell
            raise TrainingError(
                f"{cell.name}: the loss is {loss}. "
                f"Lower train.{cell.strategy.value}.lr (now {self._context.schedule.lr:g})."
            )
