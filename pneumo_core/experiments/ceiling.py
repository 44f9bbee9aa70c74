"""How fast a training could be: its own steps on synthetic data that lie on the device already."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.experiments.stopwatch import Rates, measure
from pneumo_core.labels import LABELS
from pneumo_core.models.compute import Device, choose_device
from pneumo_core.models.randomness import deterministic
from pneumo_core.models.strategies import Trunk, cut, freeze, set_train_mode
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training.steps import Step
from pneumo_core.training.waiting import DataWait


def measure_ceiling(
    architecture: str, strategy: Strategy, params: TrainParams, image_size_px: int, seconds: float
) -> Rates:
    """Of the step, and of looking at a film once where that is cached: `seconds` for each."""
    device = choose_device(params.precision)
    place = device.torch_device
    model, _ = create_model(architecture, "none", len(LABELS))
    model = model.to(place).to(memory_format=torch.channels_last)
    freeze(model, strategy)
    lr = params.of(strategy).lr

    def films(count: int) -> torch.Tensor:
        x_BCHW = torch.randn(count, 3, image_size_px, image_size_px, device=place)
        return x_BCHW.contiguous(memory_format=torch.channels_last)

    with deterministic(params.deterministic), freed_memory_kept():
        parts = cut(model, films(2))
        if parts is None:
            whole = _learn(model, films(params.batch_size), lr, params, device)
            return Rates(measure(whole, seconds, place))
        trunk, tail = parts
        cache = measure(
            _look(trunk, films(device.read_batch_size(image_size_px)), device), seconds, place
        )
        with torch.no_grad(), device.autocast():
            x = trunk(films(params.batch_size)).float()
        x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
        return Rates(measure(_learn(tail, x, lr, params, device), seconds, place), cache)


def _look(trunk: Trunk, x_BCHW: torch.Tensor, device: Device) -> Iterator[int]:
    """What `features.py` does with a batch."""
    while True:
        with torch.inference_mode(), device.autocast():
            trunk(x_BCHW)
        yield len(x_BCHW)


def _learn(
    learner: nn.Module, x: torch.Tensor, lr: float, params: TrainParams, device: Device
) -> Iterator[int]:
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    optimizer = kind(trained, lr=lr, weight_decay=params.weight_decay, fused=True)
    rows = np.arange(len(x))
    step = Step(
        *(learner, optimizer, rows % len(LABELS), lambda part: x[: len(part)], params, device),
        *(DataWait(lambda _: None), lambda _: None),
    )
    set_train_mode(learner)
    while True:
        step(rows, lr)
        yield len(x)
