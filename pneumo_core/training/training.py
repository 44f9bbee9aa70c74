"""One cell of the grid: a model, a strategy, a fixed set of training films."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.arrays import Stack
from pneumo_core.data.images import content_sha256
from pneumo_core.errors import TrainingError
from pneumo_core.labels import LABELS
from pneumo_core.models.bundle import Normalisation, PretrainedWeights
from pneumo_core.models.compute import Device, choose_device
from pneumo_core.models.randomness import deterministic, seeded
from pneumo_core.models.strategies import freeze
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training.batches import learner_and_batches
from pneumo_core.training.checkpoints import Checkpoint, key_of
from pneumo_core.training.epochs import Epochs, Examples
from pneumo_core.training.events import Cached, Finished, Sink
from pneumo_core.training.features import FeatureCache
from pneumo_core.training.processes import Processes


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
    labels: npt.NDArray[np.int64]  # index into LABELS


@dataclass(frozen=True)
class TrainedModel:
    model: nn.Module
    provenance: PretrainedWeights
    normalisation: Normalisation
    precision: str
    history: list[dict[str, float]]  # one entry an epoch, nothing that depends on the clock
    checkpoint: Checkpoint  # of the end: to be forgotten once the model is safely written


def train(
    cell: Cell,
    train_films: LabelledFilms,
    val_films: LabelledFilms,
    params: TrainParams,
    scratch: Path,
    sink: Sink,
) -> TrainedModel:
    """Trains one cell to its last epoch; `scratch` keeps checkpoint and features between runs.

    On each of several processes that were joined (`processes.joined`) it trains the same model;
    the first one's is the one to keep.

    Raises:
        WeightsError: the weights asked for are not to be had.
        TrainingError: the loss is no longer finite, a film does not fit in memory, or a batch has
            fewer films than there are processes.
    """
    with deterministic(params.deterministic), freed_memory_kept():
        return _train(cell, train_films, val_films, params, scratch, sink)


def _train(
    cell: Cell,
    train_films: LabelledFilms,
    val_films: LabelledFilms,
    params: TrainParams,
    scratch: Path,
    sink: Sink,
) -> TrainedModel:
    started = time.perf_counter()
    processes = Processes.here()
    if min(params.batch_size, len(train_films.labels)) < processes.size:
        raise TrainingError(f"A batch has too few films for {processes.size} processes.")
    device = choose_device(params.precision)
    model, provenance = _begin(cell, params, device)
    normalisation = Normalisation.of_model(model)
    cache = FeatureCache(scratch / "features", int(params.feature_cache_gb * 1e9))

    films = (train_films, val_films)
    with processes.rank_zero_first():
        learner, batches, cache_s = learner_and_batches(
            model, [of.images for of in films], normalisation, device, cache
        )
    if learner is not model:
        sink(Cached(sum(len(of.images) for of in films), cache_s))

    parts = [(content_sha256(of.images), of.labels.tobytes()) for of in films]
    used = params.of_cell(cell.strategy)
    checkpoint = Checkpoint(
        scratch / "checkpoints" / f"{cell.name}.pt",
        key_of(cell, used, provenance, device.precision, parts),
    )
    of_train, of_val = (
        Examples(fetch, of.labels) for fetch, of in zip(batches, films, strict=True)
    )
    what = (cell.name, cell.strategy, params, learner, device)
    epochs = Epochs(*what, of_train, of_val, checkpoint, sink)
    epochs.run()
    if learner is not model:
        model.load_state_dict(learner.state_dict(), strict=False)  # a tail keeps the names
    passed_s, waited_s = time.perf_counter() - started, epochs.wait.seconds
    sink(Finished(passed_s, cache_s, epochs.steps_s, waited_s, epochs.validation_s))
    return TrainedModel(
        model.cpu(), provenance, normalisation, device.precision, epochs.history, checkpoint
    )


def _begin(cell: Cell, params: TrainParams, device: Device) -> tuple[nn.Module, PretrainedWeights]:
    """The model before its first step, on the device, with what does not train frozen."""
    with seeded(params.seed, device):
        model, provenance = create_model(cell.architecture, params.weights, len(LABELS))
    model = model.to(device.torch_device).to(memory_format=torch.channels_last)
    freeze(model, cell.strategy)
    return model, provenance
