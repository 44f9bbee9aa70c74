"""What a bundle is worth on a set of films, as files: `metrics.json` and `predictions.csv`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import duplicates, inventory, manifest, raw
from pneumo_core.atomic import replacing_file, write_json
from pneumo_core.bundle import Description
from pneumo_core.errors import EvaluationError
from pneumo_core.inventory import Images
from pneumo_core.metrics import Scores, confusion, figures
from pneumo_core.params import DedupParams, EvaluateParams, IngestParams, ValidateParams
from pneumo_core.scoring import Scorer
from pneumo_core.sources import Source, open_source

PREDICTION_COLUMNS = ["image_id", "path", "patient_key", "label", "subtype"]


def predict(scorer: Scorer, films: pd.DataFrame, images: Images) -> pd.DataFrame:
    """The rows of `predictions.csv`; images [N, H, W] in the order of the films."""
    logits = scorer.logits(images)
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
) -> dict[str, Any]:
    """Writes both files and returns the content of `metrics.json`.

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
    scores = as_scores(predictions)
    found = figures(scores, threshold, params.num_draws, params.seed)
    metrics = {name: asdict(figure) for name, figure in found.items()} | {
        "n": len(scores.labels),
        "n_positive": int(scores.labels.sum()),
        "threshold": threshold,
        "operating_point": params.operating_point,
        "confusion": asdict(confusion(scores, threshold)),
        "split": split,
    }
    write_json(folder / "metrics.json", metrics)
    with replacing_file(folder / "predictions.csv") as draft:
        predictions.to_csv(draft, index=False)
    return metrics


def evaluate_source(
    scorer: Scorer, source: str, split: str, folder: Path, params: EvaluateParams
) -> dict[str, Any]:
    """Scores one split of any labelled folder, zip or description, without the pipeline.

    The same rules as in the pipeline hold: what cannot be decoded is quarantined, of films with
    the same pixels one is scored. `films.csv` says what became of each file.

    Raises:
        SourceError: the source is not there, or has no such split.
        EvaluationError: only one class is left.
    """
    films, images = _films_of(open_source(IngestParams(source=source)), split, scorer)
    with replacing_file(folder / "films.csv") as draft:
        films[["image_id", "label", "state", "reason", "duplicate_of"]].to_csv(draft, index=False)
    kept = manifest.kept(films)
    predictions = predict(scorer, kept, images[kept["packed_row"].to_numpy(np.int64)])
    metrics = write_evaluation(folder, predictions, scorer.description, split, params)
    return metrics | {"states": manifest.count(films, "state")}


def _films_of(source: Source, split: str, scorer: Scorer) -> tuple[pd.DataFrame, Images]:
    files = {file.image_id: file for file in source.files() if file.split == split}
    if not files:
        raise EvaluationError(f"The source has no split {split!r}.")
    table = pd.DataFrame([raw.describe(file) for file in files.values()])
    limits = ValidateParams(image_size_px=scorer.description.image_size_px)
    looked, images = inventory.take_inventory(table, lambda i: files[i].read(), limits)
    looked = looked.reindex(columns=manifest.SCHEMA.names)
    found = duplicates.find_duplicates(looked, images, DedupParams())
    return duplicates.remove_duplicates(looked, found), images
