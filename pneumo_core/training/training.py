"""The training of one cell of the grid on a fixed set of films."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.arrays import Stack
from pneumo_core.data.images import content_sha256
from pneumo_core.errors import TrainingError
from pneumo_core.models.architectures import Architecture, resolve
from pneumo_core.models.bundle import Normalisation, PretrainedWeights
from pneumo_core.models.compute import full_float32
from pneumo_core.models.randomness import deterministic
from pneumo_core.params import TrainParams
from pneumo_core.training.batches import learner_and_batches
from pneumo_core.training.checkpoints import Checkpoint, key_of
from pneumo_core.training.context import Cell, Context
from pneumo_core.training.epochs import Epochs, Examples
from pneumo_core.training.events import Cached, Finished, Sink
from pneumo_core.training.features import FeatureCache
from pneumo_core.versions import LEARNING, method_sha256


@dataclass(frozen=True)
class LabelledFilms:
    images: Stack
    labels: npt.NDArray[np.int64]  # index into LABELS


@dataclass(frozen=True)
class TrainedModel:
    model: nn.Module
    architecture: Architecture
    provenance: PretrainedWeights
    normalisation: Normalisation
    history: list[dict[str, float]]  # one entry an epoch, nothing that depends on the clock
    kept: dict[str, float]  # the entry of the epoch whose weights these are
    checkpoint: Checkpoint  # of the end: to be removed once the model is safely written


def train(
    cell: Cell,
    train_films: LabelledFilms,
    val_films: LabelledFilms,
    params: TrainParams,
    scratch: Path,
    sink: Sink,
) -> TrainedModel:
    """Train one cell to its end; `scratch` keeps checkpoints and features between runs.

    Under torchrun (`processes.joined`) every process trains the same model; keep that of rank 0.

    Raises as `Context.start_model` does, and TrainingError if the loss is no longer finite, a film
    does not fit in memory, or a batch has fewer films than there are processes.
    """
    context = Context.of(cell, params, sink)
    if min(params.batch_size, len(train_films.labels)) < context.processes.size:
        raise TrainingError(f"A batch has too few films for {context.processes.size} processes.")
    with deterministic(params.deterministic), full_float32(), freed_memory_kept():
        return _train(context, train_films, val_films, scratch)


def _train(
    context: Context, train_films: LabelledFilms, val_films: LabelledFilms, scratch: Path
) -> TrainedModel:
    started = time.perf_counter()
    size_px = train_films.images.shape[-1]
    model, provenance = context.start_model(size_px)
    films = (train_films, val_films)
    with context.processes.rank_zero_first():
        learner, batches, cache_s = learner_and_batches(
            model,
            [of.images for of in films],
            context.device,
            FeatureCache.below(scratch, context.params),
            context.leads_to_partial,
        )
    if learner is not model:
        context.sink(Cached(sum(len(of.images) for of in films), cache_s))

    checkpoint = Checkpoint(
        scratch / "checkpoints" / f"{context.cell.name}.pt", _key(context, provenance, films)
    )
    of_train, of_val = map(Examples, batches, (of.labels for of in films))
    epochs = Epochs(context, learner, of_train, of_val, checkpoint)
    epochs.run()
    if learner is not model:
        model.load_state_dict(learner.state_dict(), strict=False)  # a tail keeps the names
    passed_s, waited_s = time.perf_counter() - started, epochs.wait.seconds
    context.sink(Finished(passed_s, cache_s, epochs.steps_s, waited_s, epochs.validation_s))
    return TrainedModel(
        model.cpu(),
        resolve(context.cell.architecture, size_px),
        provenance,
        Normalisation.of_model(model),
        epochs.history,
        epochs.kept,
        checkpoint,
    )


def _key(context: Context, provenance: PretrainedWeights, films: tuple[LabelledFilms, ...]) -> str:
    """Return the key of everything that the end of this training depends on."""
    return key_of(
        context.cell,
        context.params.of_cell(context.cell.architecture, context.cell.strategy),
        provenance,
        context.device.precision,
        context.processes.size,
        [(content_sha256(of.images), of.labels.tobytes()) for of in films],
        method_sha256("training.training", LEARNING),
    )
