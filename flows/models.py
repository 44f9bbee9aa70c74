"""A model to use: a bundle from a folder or from the registry."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pneumo_core import params as all_params
from pneumo_core.errors import ImageError
from pneumo_core.images import decode
from pneumo_core.manifest import LABELS
from pneumo_core.params import ValidateParams
from pneumo_core.scoring import Scorer
from tasks import places

OPERATING_POINT = "reading_aid"


@dataclass(frozen=True)
class Model:
    scorer: Scorer
    where_from: str

    @property
    def threshold(self) -> float:
        return self.scorer.description.operating_points[OPERATING_POINT].threshold

    def describe(self) -> str:
        return (
            f"Model {self.scorer.description.name} ({self.where_from}), {OPERATING_POINT} at "
            f"{self.threshold:.3f}. Research use only."
        )


def load_model(bundle: Path | None, alias: str) -> Model:
    """
    Raises:
        BundleError: the bundle is incomplete or was altered.
        PromotionError: nobody bears the alias.
    """
    folder, where_from = find_bundle(bundle, alias)
    return Model(Scorer.load(folder), where_from)


def find_bundle(bundle: Path | None, alias: str) -> tuple[Path, str]:
    """The folder given, or the registry's behind an alias; and where it is from, in words.

    Raises:
        PromotionError: nobody bears the alias.
    """
    if bundle is not None:
        return bundle, str(bundle)
    from tasks import registry

    name = all_params.load(places.PARAMS).promote.registered_model
    folder, version = registry.champion_bundle(name, alias)
    return folder, f"{name}@{alias}, version {version}"


def predict_files(model: Model, paths: list[Path]) -> list[dict[str, Any]]:
    """One entry a file: `path` with `probability` and `decision`, or with `error`."""
    limits = ValidateParams(image_size_px=model.scorer.description.image_size_px)
    entries = []
    for path in paths:
        entry: dict[str, Any] = {"path": str(path)}
        try:
            film = decode(path.read_bytes(), limits.max_pixels, limits.min_side_px)
        except (ImageError, OSError) as error:
            entries.append(entry | {"error": str(error)})
            continue
        pixels = model.scorer.fit_to_size(film.pixels)[np.newaxis]
        (probability,) = model.scorer.probabilities(model.scorer.logits(pixels))
        decision = LABELS[int(probability >= model.threshold)]
        entries.append(entry | {"probability": float(probability), "decision": decision})
    return entries
