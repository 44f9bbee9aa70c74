"""One cell of the grid: a model, a strategy, a fixed set of training films.

The films of each epoch, their order and every random draw follow from the seed and the epoch, so
a killed training resumes from its last checkpoint and ends with the same numbers.
"""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from pneumo_core.atomic import replacing_file
from pneumo_core.compute import Device, Normalisation, choose_device, to_batch
from pneumo_core.errors import TrainingError
from pneumo_core.events import Cached, EpochEnded, Event, Finished, Sink, Started, Stepped
from pneumo_core.features import FeatureCache
from pneumo_core.images import Stack, content_sha256
from pneumo_core.manifest import LABELS
from pneumo_core.params import Strategy, StrategyParams, TrainParams
from pneumo_core.strategies import cut, freeze, set_train_mode
from pneumo_core.weights import Provenance, create_model

EVAL_BATCH_SIZE = 64

Fetch = Callable[[npt.NDArray[np.int64]], torch.Tensor]  # row numbers to an input batch


@dataclass(frozen=True)
class Cell:
    architecture: str
    strategy: Strategy

    @property
    def name(self) -> str:
        return f"{self.architecture}-{self.strategy.value}"


@dataclass(frozen=True)
class LabelledFilms:
    images: Stack
    labels: npt.NDArray[np.int64]  # index into manifest.LABELS


@dataclass(frozen=True)
class TrainedModel:
    model: nn.Module
    provenance: Provenance
    normalisation: Normalisation
    precision: str
    history: list[dict[str, float]]  # one entry an epoch, nothing that depends on the clock


def train(
    cell: Cell,
    train_films: LabelledFilms,
    val_films: LabelledFilms,
    params: TrainParams,
    scratch: Path,
    sink: Sink,
) -> TrainedModel:
    """Trains one cell to its last epoch; `scratch` keeps checkpoint and features between runs.

    Raises:
        WeightsError: the weights asked for are not to be had.
        TrainingError: the loss is no longer finite.
    """
    started = time.perf_counter()
    device = choose_device(params.precision)
    with torch.random.fork_rng():
        torch.manual_seed(params.seed)
        model, provenance = create_model(cell.architecture, params.weights, len(LABELS))
    model = model.to(device.torch_device).to(memory_format=torch.channels_last)
    freeze(model, cell.strategy)
    normalisation = Normalisation.of_model(model)

    cache = FeatureCache(scratch / "features", int(params.feature_cache_gb * 1e9))
    learner, fetch_train, fetch_val = _inputs(
        model, train_films, val_films, normalisation, device, cache, sink
    )
    run = _Run(cell, learner, device, params, params.of(cell.strategy), sink)
    checkpoint = _Checkpoint(
        scratch / "checkpoints" / f"{cell.name}.pt",
        _digest(cell, params, provenance, device.precision, train_films, val_films),
    )
    history = run.fit(fetch_train, train_films.labels, fetch_val, val_films.labels, checkpoint)
    if learner is not model:
        model.load_state_dict(learner.state_dict(), strict=False)  # a tail keeps the names
    checkpoint.path.unlink(missing_ok=True)
    sink(Finished(time.perf_counter() - started))
    return TrainedModel(model.cpu(), provenance, normalisation, device.precision, history)


def _inputs(
    model: nn.Module,
    train_films: LabelledFilms,
    val_films: LabelledFilms,
    normalisation: Normalisation,
    device: Device,
    cache: FeatureCache,
    sink: Sink,
) -> tuple[nn.Module, Fetch, Fetch]:
    """What trains, and where its batches come from: cached features, or films without a cut."""
    parts = cut(model, to_batch(train_films.images[:2], normalisation, device))
    if parts is None:

        def from_films(images: Stack) -> Fetch:
            return lambda rows: to_batch(images[rows], normalisation, device)

        return model, from_films(train_films.images), from_films(val_films.images)
    trunk, tail = parts
    started = time.perf_counter()

    def from_features(images: Stack) -> Fetch:
        features = cache.get(trunk, images, normalisation, device)

        def fetch(rows: npt.NDArray[np.int64]) -> torch.Tensor:
            x = features[torch.from_numpy(rows)].to(device.torch_device).float()
            return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

        return fetch

    fetch_train, fetch_val = from_features(train_films.images), from_features(val_films.images)
    num_images = len(train_films.images) + len(val_films.images)
    sink(Cached(num_images, time.perf_counter() - started))
    return tail, fetch_train, fetch_val


@dataclass(frozen=True)
class _Checkpoint:
    """The state after an epoch; one of another run (`key`) counts as none."""

    path: Path
    key: str

    def load(self) -> dict[str, Any] | None:
        if not self.path.is_file():
            return None
        state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        return state if state["key"] == self.key else None

    def save(self, **state: Any) -> None:
        with replacing_file(self.path) as draft:
            torch.save({"key": self.key} | state, draft)


@dataclass(frozen=True)
class _Run:
    cell: Cell
    learner: nn.Module
    device: Device
    params: TrainParams
    strategy: StrategyParams
    sink: Sink

    def fit(
        self,
        fetch_train: Fetch,
        train_labels: npt.NDArray[np.int64],
        fetch_val: Fetch,
        val_labels: npt.NDArray[np.int64],
        checkpoint: _Checkpoint,
    ) -> list[dict[str, float]]:
        optimizer = self._optimizer()
        history: list[dict[str, float]] = []
        if state := checkpoint.load():
            self.learner.load_state_dict(state["learner"])
            optimizer.load_state_dict(state["optimizer"])
            history = state["history"]
        num_steps = len(train_labels) // self.params.batch_size or 1
        self.sink(self._started(num_steps, len(history)))
        for epoch in range(len(history) + 1, self.strategy.epochs + 1):
            begun = time.perf_counter()
            loss, waited = self._epoch(epoch, num_steps, fetch_train, train_labels, optimizer)
            seconds = time.perf_counter() - begun
            val_loss, val_auroc = self._validate(fetch_val, val_labels)
            rate = optimizer.param_groups[0]["lr"]
            history.append(
                {"epoch": epoch, "learning_rate": rate, "train_loss": loss}
                | {"val_loss": val_loss, "val_auroc": val_auroc}
            )
            checkpoint.save(
                learner=self.learner.state_dict(),
                optimizer=optimizer.state_dict(),
                history=history,
            )
            images_per_second = len(train_labels) / seconds
            self.sink(
                EpochEnded(
                    epoch, rate, loss, val_loss, val_auroc, images_per_second, waited / seconds
                )
            )
        return history

    def _optimizer(self) -> torch.optim.Optimizer:
        kind = torch.optim.Adam if self.params.optimizer == "adam" else torch.optim.AdamW
        trained = [p for p in self.learner.parameters() if p.requires_grad]
        return kind(trained, lr=self.strategy.lr, weight_decay=self.params.weight_decay, fused=True)

    def _started(self, num_steps: int, from_epoch: int) -> Event:
        num_trainable = sum(p.numel() for p in self.learner.parameters() if p.requires_grad)
        return Started(self.cell.name, self.strategy.epochs, num_steps, num_trainable, from_epoch)

    def _epoch(
        self,
        epoch: int,
        num_steps: int,
        fetch: Fetch,
        labels: npt.NDArray[np.int64],
        optimizer: torch.optim.Optimizer,
    ) -> tuple[float, float]:
        """(mean loss, seconds spent waiting for data)."""
        order = np.random.default_rng([self.params.seed, epoch]).permutation(len(labels))
        y = torch.tensor(labels)
        loss_of = nn.CrossEntropyLoss(
            torch.tensor(self.params.class_weights, device=self.device.torch_device),
            label_smoothing=self.params.label_smoothing,
        )
        total = torch.zeros((), device=self.device.torch_device)
        waited = 0.0
        set_train_mode(self.learner)
        with torch.random.fork_rng():
            torch.manual_seed(self.params.seed * 100_003 + epoch)  # dropout, stochastic depth
            for step, rows in enumerate(np.array_split(order, num_steps)):
                asked = time.perf_counter()
                x, y_B = fetch(rows), y[rows].to(self.device.torch_device, non_blocking=True)
                waited += time.perf_counter() - asked
                for group in optimizer.param_groups:
                    group["lr"] = self._rate((epoch - 1) * num_steps + step, num_steps)
                with self.device.autocast(training=True):
                    loss = loss_of(self.learner(x), y_B)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach() * len(rows)
                self.sink(Stepped(epoch, step, len(rows)))
        mean_loss = float(total) / len(labels)
        self._require_finite(mean_loss)
        return mean_loss, waited

    def _require_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"{self.cell.name}: the loss is {loss}. "
                f"Lower train.{self.cell.strategy.value}.lr (now {self.strategy.lr:g})."
            )

    def _rate(self, step: int, num_steps: int) -> float:
        """`step`: the study's StepLR, a tenth every 7 epochs. `one_cycle`: warm-up, then cosine."""
        if self.params.schedule == "step":
            return self.strategy.lr * 0.1 ** (step // num_steps // 7)
        total = self.strategy.epochs * num_steps
        warm_up = max(1, total // 10)
        if step < warm_up:
            return self.strategy.lr * (step + 1) / warm_up
        return (
            self.strategy.lr * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up)))
        )

    def _validate(self, fetch: Fetch, labels: npt.NDArray[np.int64]) -> tuple[float, float]:
        self.learner.eval()
        starts = range(0, len(labels), EVAL_BATCH_SIZE)
        with torch.inference_mode(), self.device.autocast(training=True):
            parts = [
                self.learner(fetch(np.arange(start, min(start + EVAL_BATCH_SIZE, len(labels)))))
                for start in starts
            ]
        logits_NK = torch.cat(parts).float().cpu()
        loss = float(nn.functional.cross_entropy(logits_NK, torch.tensor(labels)))
        self._require_finite(loss)  # the last step of an epoch may be the one that went too far
        margin = (logits_NK[:, 1] - logits_NK[:, 0]).numpy()
        return loss, float(roc_auc_score(labels, margin))


def _digest(*parts: object) -> str:
    """Of everything that the end of a training depends on."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, LabelledFilms):
            digest.update(content_sha256(part.images).encode())
            digest.update(part.labels.tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()
