"""The batches of a training: cached features, or films where a model has no cut."""

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pneumo_core.arrays import Stack
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import Device, channels_last, to_input
from pneumo_core.models.strategies import cut, cut_twice
from pneumo_core.params import Strategy
from pneumo_core.training.extractor import Extractor
from pneumo_core.training.features import FeatureCache

Rows = npt.NDArray[np.int64]
Fetch = Callable[[Rows], torch.Tensor]  # row numbers to an input batch

BLOCK_ROWS = 256


def learner_and_batches(
    model: nn.Module,
    stacks: Sequence[Stack],
    device: Device,
    cache: FeatureCache,
    leads_to_partial: bool,
) -> tuple[nn.Module, list[Fetch], float]:
    """Return what trains (the model or its tail), each stack's batches, and seconds for features.

    On a GPU the inputs stay there as bytes or features where they fit.

    Args:
        leads_to_partial: keep the features of the partial strategy on the way to the model's own.
    """
    normalisation = Normalisation.of_model(model)
    films = torch.as_tensor(stacks[0][:2])
    example = to_input(films.to(device.torch_device), normalisation)
    parts = cut(model, example)
    if parts is None:
        return model, [_from_films(images, normalisation, device) for images in stacks], 0.0
    trunk, tail = parts
    started = time.perf_counter()
    extractor, halves = Extractor(trunk, device, films, normalisation), None
    if leads_to_partial and (trunks := cut_twice(model, Strategy.PARTIAL, example)):
        first = Extractor(trunks[0], device, films, normalisation)
        halves = first, Extractor(trunks[1], device, first.in_torch(films))
    features = [cache.get(extractor, images, halves) for images in stacks]
    seconds = time.perf_counter() - started
    return tail, [_from_features(of_stack, device) for of_stack in features], seconds


def _from_films(images: Stack, normalisation: Normalisation, device: Device) -> Fetch:
    rows_of = _reader(images, math.prod(images.shape), device)
    return lambda rows: to_input(rows_of(rows), normalisation)


def _from_features(features: torch.Tensor, device: Device) -> Fetch:
    rows_of = _reader(features, features.nbytes, device)

    return lambda rows: channels_last(rows_of(rows).float())


def _reader(stack: Stack | torch.Tensor, num_bytes: int, device: Device) -> Fetch:
    """Return a reader of rows, which stay on the GPU if all fit there and are sent otherwise."""
    if not device.has_room_for(num_bytes):
        return lambda rows: device.send(torch.as_tensor(stack[rows]))
    example = torch.as_tensor(stack[np.arange(1)])
    resident = torch.empty(
        (len(stack), *example.shape[1:]), dtype=example.dtype, device=device.torch_device
    )
    for start in range(0, len(stack), BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, len(stack)))
        resident[start : start + BLOCK_ROWS] = torch.as_tensor(stack[rows])
    return lambda rows: resident[device.send(torch.from_numpy(rows))]
