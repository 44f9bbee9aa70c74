"""The one way to run a model: films in, logits and probabilities out, always in float32.

Serving, evaluation, the audit, the comparison of recipes and monitoring all score through here, so
that what is judged is what is served.
"""

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
from pneumo_core.metrics.platt import calibrated
from pneumo_core.models import bundled_model
from pneumo_core.models.bundle import Blueprint, Description, Normalisation
from pneumo_core.models.compute import choose_device, full_float32, to_batch
from pneumo_core.models.strategies import classifiers
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
    def uncalibrated(
        cls, blueprint: Blueprint, weights: Path, views: tuple[View, ...] = VIEWS[:1]
    ) -> "Scorer":
        """Return a scorer of weights as they were trained: no calibration, no thresholds."""
        description = Description(
            **dict(blueprint), slope=1.0, intercept=0.0, views=views, operating_points={}
        )
        return cls(bundled_model.build(description, weights), description)

    def predict(self, images: Images) -> tuple[Floats, Features]:
        """Return what `predict` returns, in the bundle's views; images have the bundle's size."""
        there = self.description
        return predict(self.model, images, there.normalisation, there.views)

    def logits(self, images: Images) -> Floats:
        """Return the log odds of PNEUMONIA before calibration, [N]."""
        return self.predict(images)[0]

    def probabilities(self, logits: Floats) -> Floats:
        return calibrated(logits, self.description.slope, self.description.intercept)

    def predict_probabilities(self, images: Images) -> Floats:
        """Return the calibrated probabilities of PNEUMONIA that serving returns too, [N]."""
        return self.probabilities(self.logits(images))

    def fit_to_size(self, pixels: Gray) -> Gray:
        return resize(pixels, self.description.image_size_px)


def predict(
    model: Any,
    images: Images,
    normalisation: Normalisation,
    views: tuple[View, ...] = VIEWS[:1],
) -> tuple[Floats, Features]:
    """Return logits and features of films [N, H, W], always in float32.

    The logit of a film, [N], is that of PNEUMONIA less that of NORMAL, the mean of its views. The
    features, [N, F], are the input of the timm model's (first) classifier for the first view. All
    views of a film are in one batch.
    """
    device = choose_device("float32")
    model = device.place(model).eval()
    size = max(1, device.read_batch_size(images.shape[-1]) // len(views))
    logits, features = [], []

    def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        features.append(inputs[0].flatten(1).float().cpu().numpy())

    handle = classifiers(model)[0].register_forward_pre_hook(keep)
    memory = freed_memory_kept() if len(images) > size else nullcontext()
    with handle, torch.inference_mode(), full_float32(), memory:
        for start in track(range(0, len(images), size), "score", unit="batch"):
            films = images[start : start + size]
            viewed = np.concatenate([view.of(films) for view in views])
            logits_BK = model(to_batch(viewed, normalisation, device)).double()
            margins = (logits_BK[:, 1] - logits_BK[:, 0]).cpu().numpy()
            logits.append(margins.reshape(len(views), len(films)).mean(axis=0))
            features[-1] = features[-1][: len(films)]
    return np.concatenate(logits), np.concatenate(features)
