"""Films from outside the pipeline, scored by its rules."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import duplicates, inventory, manifest, raw
from pneumo_core.atomic import replacing_file
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation import predict, write_evaluation
from pneumo_core.images import Images
from pneumo_core.params import DedupParams, EvaluateParams, IngestParams, ValidateParams
from pneumo_core.scoring import Scorer
from pneumo_core.sources import Source, open_source


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
    table = manifest.conform(pd.DataFrame([raw.describe(file) for file in files.values()]))
    limits = ValidateParams(image_size_px=scorer.description.image_size_px)
    looked, images = inventory.take_inventory(table, lambda i: files[i].read(), limits)
    found = duplicates.find_duplicates(looked, images, DedupParams())
    return duplicates.remove_duplicates(looked, found), images
