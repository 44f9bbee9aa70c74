"""A bundle at work: films in, logits and probabilities out. Always float32, the same everywhere."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.arrays import Floats, Gray, Images
from pneumo_core.data.images import resize
from pneumo_core.data.views import VIEWS, View
from pneumo_core.evaluation.operating_point import calibrated
from pneumo_core.models import bundled_model
from pneumo_core.models.bundle import Blueprint, Description, Normalisation
from pneumo_core.models.compute import choose_device, to_batch
from pneumo_core.params import Precision
from pneumo_core.progress import track

Features = npt.NDArray[np.float32]  # [N, F], before the classifier


@dataclass(frozen=True)
class Scorer:
    model: nn.Module
    description: Description

    @classmethod
    def load(cls, folder: Path) -> "Scorer":
        """Raises BundleError for a bundle that is incomplete or altered."""
        return cls(*bundled_model.load(folder))

    @classmethod
    def untempered(
        cls, blueprint: Blueprint, weights: Path, views: tuple[View, ...] = VIEWS[:1]
    ) -> "Scorer":
        """Of weights that validation has not seen yet: temperature 1, no thresholds."""
        description = Description(
            **dict(blueprint), temperature=1.0, views=views, operating_points={}
        )
        return cls(bundled_model.build(description, weights), description)

    def logits(self, images: Images) -> Floats:
        """Log odds of PNEUMONIA, before temperature; images [N, H, W] of the bundle's size."""
        return self.see(images)[0]

    def see(self, images: Images) -> tuple[Floats, Features]:
        """As the function, in the bundle's views."""
        there = self.description
        return see(self.model, images, there.normalisation, views=there.views)

    def probabilities(self, logits: Floats) -> Floats:
        return calibrated(logits, self.description.temperature)

    def fit_to_size(self, pixels: Gray) -> Gray:
        return resize(pixels, self.description.image_size_px)


def score(
    model: Any,
    images: Images,
    normalisation: Normalisation,
    precision: Precision = "float32",
) -> Floats:
    """Logit of PNEUMONIA minus that of NORMAL for films [N, H, W]; [N]."""
    return see(model, images, normalisation, precision)[0]


def see(
    model: Any,
    images: Images,
    normalisation: Normalisation,
    precision: Precision = "float32",
    views: tuple[View, ...] = VIEWS[:1],
) -> tuple[Floats, Features]:
    """As `score`, the mean of the views, and what the classifier of the timm model was given of the
    first one, [N, F]. A film's views go through the model together."""
    device = choose_device(precision)
    model = model.to(device.torch_device).to(memory_format=torch.channels_last).eval()
    size = max(1, device.read_batch_size(images.shape[-1]) // len(views))
    logits, features = [], []

    def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        features.append(inputs[0].flatten(1).float().cpu().numpy())

    handle = model.get_classifier().register_forward_pre_hook(keep)
    memory = freed_memory_kept() if len(images) > size else nullcontext()
    with handle, torch.inference_mode(), device.autocast(), memory:
        for start in track(range(0, len(images), size), "score", unit="batch"):
            films = images[start : start + size]
            seen = np.concatenate([view.of(films) for view in views])
            logits_BK = model(to_batch(seen, normalisation, device)).double()
            margins = (logits_BK[:, 1] - logits_BK[:, 0]).cpu().numpy()
            logits.append(margins.reshape(len(views), len(films)).mean(axis=0))
            features[-1] = features[-1][: len(films)]
    return np.concatenate(logits), np.concatenate(features)
