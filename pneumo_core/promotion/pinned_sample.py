"""A few test films with a model's probabilities, to check the model before it is used.

It travels with the model; the films themselves do not, nor do their names.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pneumo_core.data.images import decode
from pneumo_core.errors import PromotionError
from pneumo_core.params import ValidateParams

if TYPE_CHECKING:
    from pneumo_core.evaluation.scoring import Scorer

NUM_PER_CLASS = 8

Sample = list[dict[str, Any]]  # a film each: sha256 of its file, probability


def draw(predictions: pd.DataFrame, table: pd.DataFrame) -> Sample:
    """Return always the same films of a test split: those whose files have the lowest hashes."""
    films = predictions.merge(table[["image_id", "sha256"]], on="image_id")
    drawn = films.sort_values("sha256").groupby("label").head(NUM_PER_CLASS)
    rows: Sample = drawn[["sha256", "probability"]].to_dict("records")
    return rows


def deviation(sample: Sample, scorer: "Scorer", read: Callable[[str], bytes]) -> float:
    """Return the largest difference of today's probabilities from those of the sample.

    Args:
        read: gives the bytes of the file with a SHA-256; FileNotFoundError where there is none.

    Raises:
        PromotionError: there is no sample, or a film of it is gone or another one now.
    """
    if not sample:
        raise PromotionError("The model has no pinned sample to be checked on.")
    size_px = scorer.description.image_size_px
    limits = ValidateParams(image_size_px=size_px)
    films = []
    for row in sample:
        data = _read(row, read)
        film = decode(data, limits.max_pixels, limits.min_side_px, size_px)
        films.append(film.squared(size_px))
    now = scorer.probabilities(scorer.logits(np.stack(films)))
    return float(np.abs(now - [row["probability"] for row in sample]).max())


def _read(row: dict[str, Any], read: Callable[[str], bytes]) -> bytes:
    film = f"The pinned film with SHA-256 {row['sha256'][:12]}"
    try:
        data = read(row["sha256"])
    except FileNotFoundError as error:
        raise PromotionError(
            f"{film} is not here: bring the data of that model back (git checkout its dvc.lock, "
            "dvc checkout) and try again."
        ) from error
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise PromotionError(f"{film} has changed since it was ingested.")
    return data
