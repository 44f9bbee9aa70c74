"""What a bundle is worth on a set of films, as files: `metrics.json` and `predictions.csv`."""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import manifest
from pneumo_core.atomic import replacing_file, write_json
from pneumo_core.bundle import Description
from pneumo_core.errors import EvaluationError
from pneumo_core.images import Images
from pneumo_core.metrics import Floats, Scores, confusion, figures
from pneumo_core.params import EvaluateParams
from pneumo_core.scoring import Scorer

PREDICTION_COLUMNS = ["image_id", "path", "patient_key", "label", "subtype"]


def predict(scorer: Scorer, films: pd.DataFrame, images: Images) -> pd.DataFrame:
    """The rows of `predictions.csv`; images [N, H, W] in the order of the films."""
    return as_predictions(scorer, films, scorer.logits(images))


def as_predictions(scorer: Scorer, films: pd.DataFrame, logits: Floats) -> pd.DataFrame:
    return films[PREDICTION_COLUMNS].assign(logit=logits, probability=scorer.probabilities(logits))


def as_scores(predictions: pd.DataFrame) -> Scores:
    return Scores(
        manifest.label_indices(predictions).to_numpy(np.int64),
        predictions["probability"].to_numpy(np.float64),
        predictions["patient_key"].to_numpy(np.str_),
    )


def write_evaluation(
    folder: Path,
    predictions: pd.DataFrame,
    description: Description,
    split: str,
    params: EvaluateParams,
    suspects: Collection[str] = (),
) -> dict[str, Any]:
    """Writes both files and returns the content of `metrics.json`.

    Args:
        suspects: `image_id` of films that may be known from training; the figures are given
            without them too, or as null where that leaves one class only.

    Raises:
        EvaluationError: one class only, or the bundle has no such operating point.
    """
    points = description.operating_points
    if params.operating_point not in points:
        raise EvaluationError(
            f"The bundle has no operating point {params.operating_point!r}, only "
            f"{', '.join(points)}: see evaluate.operating_point."
        )
    threshold = points[params.operating_point].threshold
    metrics = _measure(predictions, threshold, params) | {
        "threshold": threshold,
        "operating_point": params.operating_point,
        "split": split,
    }
    if suspects:
        trusted = predictions[~predictions["image_id"].isin(suspects)]
        metrics["without_suspects"] = (
            _measure(trusted, threshold, params) if trusted["label"].nunique() > 1 else None
        )
    write_json(folder / "metrics.json", metrics)
    with replacing_file(folder / "predictions.csv") as draft:
        predictions.to_csv(draft, index=False)
    return metrics


def _measure(predictions: pd.DataFrame, threshold: float, params: EvaluateParams) -> dict[str, Any]:
    scores = as_scores(predictions)
    found = figures(scores, threshold, params.num_draws, params.seed)
    return {name: asdict(figure) for name, figure in found.items()} | {
        "n": len(scores.labels),
        "n_positive": int(scores.labels.sum()),
        "confusion": asdict(confusion(scores, threshold)),
    }
