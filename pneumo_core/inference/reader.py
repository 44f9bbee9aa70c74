"""A bundle that reads single films at one of its operating points."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pneumo_core.arrays import Bools, Gray, Images
from pneumo_core.errors import BundleError
from pneumo_core.evaluation.reference import Reference
from pneumo_core.evaluation.saliency import map_films, overlay
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.inference import intake
from pneumo_core.labels import LABELS, POSITIVE
from pneumo_core.metrics.estimates import wilson_interval
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.sources.png import encode_png


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one film, and why the prediction may not be used."""

    probability: float
    decision: str
    rejection_reason: str | None  # why the film is probably not a chest film


@dataclass(frozen=True)
class OnValidation:
    """What an operating point did on the films that it was chosen on.

    The intervals count films: a bundle does not know whose they are.
    """

    sensitivity: Estimate
    specificity: Estimate
    prevalence: float  # share with pneumonia, at which the probability holds


@dataclass(frozen=True)
class Reader:
    scorer: Scorer
    reference: Reference
    operating_point: str

    @classmethod
    def load(cls, folder: Path, operating_point: str) -> "Reader":
        """Return the model of a bundle, tried on a film.

        Raises:
            BundleError: the bundle is incomplete, altered or of another version, has no such
                operating point, or does not give a number for a film.
        """
        scorer, reference = Scorer.load(folder), Reference.of_bundle(folder)
        points = scorer.description.operating_points
        if operating_point not in points:
            raise BundleError(
                f"{folder} has no operating point {operating_point}, only {', '.join(points)}."
            )
        reader = cls(scorer, reference, operating_point)
        size = scorer.description.image_size_px
        (tried,) = reader.predict(np.zeros((1, size, size), np.uint8))
        if not np.isfinite(tried.probability):
            raise BundleError(f"{folder} gives {tried.probability} for a film, no probability.")
        return reader

    @property
    def threshold(self) -> float:
        return self.scorer.description.operating_points[self.operating_point].threshold

    def admit(self, data: bytes) -> Gray:
        """Return the film in a file, for `predict` and `explain`; raises as `intake.admit` does."""
        return intake.admit(data, self.reference, self.scorer.description.image_size_px)

    def predict(self, images: Images) -> list[Prediction]:
        """Return a prediction for each admitted film [N, H, W]."""
        logits, features = self.scorer.predict(images)
        found = zip(
            self.scorer.probabilities(logits), self.reference.ood_score(features), strict=True
        )
        return [self._decide(float(probability), float(score)) for probability, score in found]

    def _decide(self, probability: float, ood_score: float) -> Prediction:
        limit = self.reference.max_ood_score
        rejection_reason = None
        if ood_score > limit:
            rejection_reason = (
                "not a chest film: it differs too much from the films that the model learned from "
                f"(OOD score {ood_score:.0f}, limit {limit:.0f})"
            )
        return Prediction(probability, LABELS[int(probability >= self.threshold)], rejection_reason)

    def explain(self, images: Images) -> list[bytes]:
        """Return a PNG of each admitted film with its saliency map for pneumonia over it.

        Raises as `map_films` does.
        """
        maps_BHW = map_films(self.scorer.engine, images)
        return [
            encode_png(overlay(pixels, map_HW / max(map_HW.max(), 1e-12)))
            for pixels, map_HW in zip(images, maps_BHW, strict=True)
        ]

    @cached_property
    def on_validation(self) -> OnValidation:
        called = self.reference.val_probabilities >= self.threshold
        positive = self.reference.val_labels == POSITIVE
        prevalence = float(positive.mean())
        return OnValidation(_share(called[positive]), _share(~called[~positive]), prevalence)

    @cached_property
    def meaning(self) -> str:
        """Return what the operating point means, by the validation films that it was chosen on."""
        found = self.on_validation
        return (
            f"A probability of {self.threshold:.3f} or more reads as {LABELS[POSITIVE]}, a lower "
            f"one as {LABELS[0]}. On validation, {_text(found.sensitivity)} of the films with "
            f"pneumonia read as {LABELS[POSITIVE]} and {_text(found.specificity)} of those without "
            f"as {LABELS[0]}; these intervals count films, not patients. The probability holds "
            f"where {found.prevalence:.0%} of films have pneumonia; where fewer have it, the "
            "chance of it is lower."
        )


def _share(hits: Bools) -> Estimate:
    return wilson_interval(hits.mean(keepdims=True), len(hits)).figure()


def _text(share: Estimate) -> str:
    return f"{share.value:.1%} (95% interval {share.ci_low:.1%} to {share.ci_high:.1%})"
