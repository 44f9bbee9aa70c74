"""The one way to run a model: films in, logits and probabilities out, always in float32.

Serving, evaluation, the audit, the comparison of recipes and monitoring all score through here, so
that what is judged is what is served.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.arrays import Floats, Gray, Images
from pneumo_core.data.images import resize
from pneumo_core.data.views import VIEWS, View
from pneumo_core.evaluation.engine import Engine, open_engine
from pneumo_core.metrics.platt import calibrated
from pneumo_core.models import bundle
from pneumo_core.models.bundle import Blueprint, Description
from pneumo_core.progress import track

Features = npt.NDArray[np.float32]  # [N, F], before the classifier


@dataclass(frozen=True)
class Scorer:
    engine: Engine
    description: Description

    @classmethod
    def load(cls, folder: Path) -> "Scorer":
        """Raises BundleError for a bundle that is incomplete or altered."""
        description = bundle.read_description(folder)
        return cls(open_engine(folder, description), description)

    @classmethod
    def uncalibrated(
        cls, blueprint: Blueprint, engine: Engine, views: tuple[View, ...] = VIEWS[:1]
    ) -> "Scorer":
        """Return a scorer of a model as it was trained: no calibration, no thresholds."""
        description = Description(
            **dict(blueprint), slope=1.0, intercept=0.0, views=views, operating_points={}
        )
        return cls(engine, description)

    def predict(self, images: Images) -> tuple[Floats, Features]:
        """Return what `predict` returns, in the bundle's views; images have the bundle's size."""
        return predict(self.engine, images, self.description.views)

    def logits(self, images: Images) -> Floats:
        """Return the log odds of PNEUMONIA before calibration, [N]."""
        return self.predict(images)[0]

    def features(self, images: Images) -> Features:
        """Return the features that `predict` returns, without a look at the other views."""
        return predict(self.engine, images)[1]

    def probabilities(self, logits: Floats) -> Floats:
        return calibrated(logits, self.description.slope, self.description.intercept)

    def predict_probabilities(self, images: Images) -> Floats:
        """Return the calibrated probabilities of PNEUMONIA that serving returns too, [N]."""
        return self.probabilities(self.logits(images))

    def fit_to_size(self, pixels: Gray) -> Gray:
        return resize(pixels, self.description.image_size_px)


def predict(
    engine: Engine, images: Images, views: tuple[View, ...] = VIEWS[:1]
) -> tuple[Floats, Features]:
    """Return logits and features of films [N, H, W].

    The logit of a film, [N], is that of PNEUMONIA less that of NORMAL, the mean of its views. The
    features, [N, F], are those of the first view. All views of a film are in one batch.
    """
    size = max(1, engine.batch_size(images.shape[-1]) // len(views))
    logits, features = [], []
    memory = freed_memory_kept() if len(images) > size else nullcontext()
    with memory:
        for start in track(range(0, len(images), size), "score", unit="batch"):
            films = images[start : start + size]
            logits_BK, features_BF = engine.read(np.concatenate([view.of(films) for view in views]))
            margins = logits_BK[:, 1].astype(np.float64) - logits_BK[:, 0]
            logits.append(margins.reshape(len(views), len(films)).mean(axis=0))
            features.append(features_BF[: len(films)])
    return np.concatenate(logits), np.concatenate(features)
