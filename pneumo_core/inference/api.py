"""What a notebook needs beside `files.py`: figures of labelled films, and their certificate."""

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pneumo_core.data.leakage import Certificate
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.any_source import (
    certify_source,
    evaluate_source,
    metadata_for,
    score_source,
)
from pneumo_core.evaluation.evaluation import as_scores, read_evaluation
from pneumo_core.evaluation.reference import Reference
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.inference.files import File
from pneumo_core.inference.reader import Reader
from pneumo_core.metrics import paired
from pneumo_core.metrics.paired import Reading
from pneumo_core.metrics.predictions import Predictions, match, read_predictions
from pneumo_core.params import EvaluateParams, IngestParams
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.source import Source

Films = Source | str | Path  # labelled images, as `ingest.source` names them

DEFAULT_THRESHOLD = 0.5  # where no threshold is stated


def evaluate(
    model: Reader,
    films: Films,
    split: str = "test",
    out: File | None = None,
    params: EvaluateParams | None = None,
) -> dict[str, Any]:
    """Return the content of `metrics.json` (`evaluation.evaluation`), how many files counted, and
    from how many of the films the model learned (`num_trained_on`).

    Args:
        out: a folder to write metrics.json, predictions.csv and films.csv to.

    Raises as `evaluate_source` does.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder, params = Path(out or scratch), params or EvaluateParams()
        source = _opened(films, params.subgroups)
        return evaluate_source(model.scorer, model.reference, source, split, folder, params)


def compare(
    a: File,
    b: File,
    films: Films | None = None,
    split: str = "test",
    operating_point: str = "reading_aid",
) -> dict[str, Any]:
    """Return the differences a - b of two models on the same films (`metrics.paired.compare`).

    Args:
        a, b: the folder of an evaluation, a CSV of predictions, or a bundle.
        films, split, operating_point: for bundles alone.

    Raises:
        EvaluationError: the films are not the same, or a bundle has none to predict.
    """
    pair = match(*(_predictions(Path(each), films, split, operating_point) for each in (a, b)))
    readings = {
        name: Reading(
            as_scores(each.table),
            DEFAULT_THRESHOLD if each.threshold is None else each.threshold,
        )
        for name, each in zip(("a", "b"), pair, strict=True)
    }
    return paired.compare(readings)


def certify(films: Films) -> Certificate:
    """Return what the splits share: duplicates, near-duplicates, patients; see `certificate`."""
    return certify_source(_opened(films))


def _opened(films: Films, by: Collection[str] = ()) -> Source:
    if isinstance(films, str | Path):
        return open_source(IngestParams(source=str(films), metadata=metadata_for(by)))
    return films


def _predictions(path: Path, films: Films | None, split: str, point: str) -> Predictions:
    """Return a bundle's predictions on the films, or those of an earlier evaluation."""
    if path.is_file():
        return read_predictions(path)
    if (path / "predictions.csv").is_file():
        predictions = read_predictions(path / "predictions.csv")
        return Predictions(predictions.table, read_evaluation(path).threshold)
    scorer = Scorer.load(path)
    if films is None:
        raise EvaluationError(f"{path} is a bundle: name labelled films for it (--source).")
    reference = Reference.of_bundle(path)
    table = score_source(scorer, reference, _opened(films), split).predictions
    return Predictions(table, scorer.description.operating_points[point].threshold)
