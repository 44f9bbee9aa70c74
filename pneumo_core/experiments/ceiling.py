"""How fast a training could be: its own steps on synthetic data that are on the device already."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.experiments.stopwatch import Rates, measure
from pneumo_core.labels import LABELS
from pneumo_core.models.compute import Device, channels_last, full_float32
from pneumo_core.models.randomness import deterministic
from pneumo_core.models.strategies import Trunk, cut, set_train_mode
from pneumo_core.params import TrainParams
from pneumo_core.training.context import Cell, Context
from pneumo_core.training.events import ignore
from pneumo_core.training.steps import Step
from pneumo_core.training.waiting import DataWait


def measure_ceiling(cell: Cell, params: TrainParams, image_size_px: int, seconds: float) -> Rates:
    """Measure the step, and the making of features where there is a cut: `seconds` for each."""
    context = Context.of(cell, params)
    device, place = context.device, context.device.torch_device

    def films(count: int) -> torch.Tensor:
        return channels_last(torch.randn(count, 3, image_size_px, image_size_px, device=place))

    with deterministic(params.deterministic), full_float32(), freed_memory_kept():
        model, _ = context.start_model(image_size_px)
        parts = cut(model, films(2))
        if parts is None:
            whole = _learn(context, model, films(params.batch_size))
            return Rates(measure(whole, seconds, place))
        trunk, tail = parts
        size = device.read_batch_size(image_size_px)
        cache = measure(_make_features(trunk, films(size), device), seconds, place)
        with torch.no_grad(), device.autocast():
            x = trunk(films(params.batch_size)).float()
        return Rates(measure(_learn(context, tail, channels_last(x)), seconds, place), cache)


def _make_features(trunk: Trunk, x_BCHW: torch.Tensor, device: Device) -> Iterator[int]:
    """Do without end what `features.py` does with a batch."""
    while True:
        with torch.inference_mode(), device.autocast():
            trunk(x_BCHW)
        yield len(x_BCHW)


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
