"""How fast a training could be: its own steps on synthetic data that are on the device already."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.experiments.stopwatch import Rates, measure
from pneumo_core.labels import LABELS
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import channels_last, full_float32, to_input
from pneumo_core.models.randomness import deterministic
from pneumo_core.models.strategies import cut, set_train_mode
from pneumo_core.params import TrainParams
from pneumo_core.training.context import Cell, Context
from pneumo_core.training.events import ignore
from pneumo_core.training.extractor import Extractor
from pneumo_core.training.steps import Step
from pneumo_core.training.waiting import DataWait


def measure_ceiling(cell: Cell, params: TrainParams, image_size_px: int, seconds: float) -> Rates:
    """Measure the step, and the making of features where there is a cut: `seconds` for each."""
    context = Context.of(cell, params)
    device, place = context.device, context.device.torch_device

    def films(count: int) -> torch.Tensor:
        shape = (count, image_size_px, image_size_px)
        return torch.randint(256, shape, dtype=torch.uint8, device=place)

    with deterministic(params.deterministic), full_float32(), freed_memory_kept():
        model, _ = context.start_model(image_size_px)
        normalisation, batch = Normalisation.of_model(model), films(params.batch_size)
        parts = cut(model, to_input(films(2), normalisation))
        if parts is None:
            whole = _learn(context, model, to_input(batch, normalisation))
            return Rates(measure(whole, seconds, place))
        trunk, tail = parts
        extractor = Extractor(trunk, device, films(2), normalisation)
        rows = films(device.read_batch_size(image_size_px))
        cache = measure(_make_features(extractor, rows), seconds, place)
        x = channels_last(extractor.in_torch(batch).float())
        return Rates(measure(_learn(context, tail, x), seconds, place), cache)


def _make_features(extractor: Extractor, films: torch.Tensor) -> Iterator[int]:
    """Do without end what `features.py` does with a batch."""
    while True:
        extractor(films)
        yield len(films)


def _learn(context: Context, learner: nn.Module, x: torch.Tensor) -> Iterator[int]:
    rows = np.arange(len(x))
    step = Step(
        context,
        learner,
        rows % len(LABELS),
        lambda part: x[: len(part)],
        DataWait(ignore),
    )
    set_train_mode(learner)
    while True:
        step(rows, context.schedule.lr)
        yield len(x)
