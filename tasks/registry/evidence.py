"""The evidence on challenger and champion, gathered for the decision."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.atomic import file_sha256, read_json
from pneumo_core.data import leakage, manifest
from pneumo_core.errors import EvaluationError, PromotionError
from pneumo_core.evaluation.evaluation import PREDICTION_COLUMNS, as_scores, predict
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.metrics.dimensions import dimensions
from pneumo_core.metrics.paired import Reading
from pneumo_core.metrics.predictions import read_table
from pneumo_core.metrics.subgroups import subgroups
from pneumo_core.models import bundle
from pneumo_core.params import ValidateParams
from pneumo_core.preparation.inventory import take_inventory
from pneumo_core.promotion import pinned_sample
from pneumo_core.promotion.gates import Challenger, Data
from pneumo_core.promotion.pinned_sample import Sample
from pneumo_core.promotion.promotion import Champion
from tasks import ledger, paths


def of_data() -> Data:
    table = manifest.read(paths.SPLIT)
    return Data(
        certificate=_certificate(),
        data_sha256=leakage.data_sha256(table),
        manifest_sha256=file_sha256(paths.SPLIT),
        origins=tuple(sorted(set(table["origin"]))),
    )


def on_validations() -> dict[str, list[dict[str, Any]]]:
    """`metrics.json` of every cell on each of the validations, of those that have all."""
    found = {
        cell.name: [_json(cell / split / "metrics.json") for split in paths.VALIDATIONS]
        for cell in _cells()
    }
    return {
        cell: [metrics for metrics in validations if metrics is not None]
        for cell, validations in found.items()
        if None not in validations
    }


def of_challenger(cell: str, operating_point: str, withdrawn: dict[str, str]) -> Challenger:
    """Return what is known of a cell's model; raise BundleError if its bundle is not whole.

    Args:
        withdrawn: bundles that were taken out of the role: when and why.
    """
    folder = paths.EVALUATED / cell
    scorer = Scorer.load(folder / paths.BUNDLE)
    identity = bundle.identity(folder / paths.BUNDLE)
    table, predictions = manifest.read(paths.SPLIT), _predictions(folder)
    reading = films = deviation = None
    groups: dict[str, Any] = {}
    if predictions is not None:
        reading = _reading(predictions, scorer, operating_point)
        if reading is not None:
            groups = subgroups(dimensions(predictions), reading.scores, reading.threshold)
        known = predictions[["image_id", "label"]].merge(table[["image_id", "sha256"]], how="left")
        films = leakage.test_split_hash(known)
        deviation = round(pinned_sample.deviation(sample_of(cell), scorer, films_by_hash()), 4)
    audit = _json(paths.AUDIT) or {}
    return Challenger(
        bundle_sha256=identity,
        manifest_sha256=scorer.description.origin.data_sha256,
        metrics=_json(folder / "test" / "metrics.json"),
        reading=reading,
        subgroups=groups,
        test_split_hash=films,
        deviation=deviation,
        checks=[*audit.get("data", ()), *audit.get("augmentation", ()), *audit.get(cell, ())],
        test_looks=test_looks(paths.TEST_LEDGER, films, identity),
        external=_external(cell),
        withdrawn=withdrawn.get(identity),
    )


def of_champion(folder: Path, operating_point: str) -> Champion:
    """Return the champion, scored now on the test films as they are now.

    Raises:
        BundleError: its bundle is incomplete, was altered or is of another version.
    """
    scorer = Scorer.load(folder)
    films = manifest.kept(manifest.read(paths.SPLIT), "test")
    limits = ValidateParams(image_size_px=scorer.description.image_size_px)
    with tempfile.TemporaryDirectory() as scratch:
        looked, images = take_inventory(films, read_film, limits, Path(scratch))
        kept = manifest.kept(looked)
        predictions = predict(scorer, kept, images[kept["packed_row"].to_numpy(np.int64)])
    reading = _reading(predictions, scorer, operating_point)
    obstacle = None if reading else f"it has no operating point {operating_point}"
    return Champion(bundle.identity(folder), reading, obstacle)


def sample_of(cell: str) -> Sample:
    """Return the films to be pinned to the cell's model; none if it was not evaluated."""
    predictions = _predictions(paths.EVALUATED / cell)
    table = manifest.read(paths.SPLIT)
    return [] if predictions is None else pinned_sample.draw(predictions, table)


def read_film(path: str) -> bytes:
    return (paths.RAW / path).read_bytes()


def films_by_hash() -> Callable[[str], bytes]:
    """Return what gives the bytes of a film by the SHA-256 that it was ingested with."""
    table = manifest.read(paths.SPLIT)
    path_of = dict(zip(table["sha256"], table["path"], strict=True))

    def read(sha256: str) -> bytes:
        if sha256 not in path_of:
            raise FileNotFoundError(sha256)
        return read_film(path_of[sha256])

    return read


def test_looks(path: Path, test_split_hash: str | None, identity: str) -> int | None:
    """Count of the models that were scored on a test split. A line that names no split counts.

    None: a line was altered or taken out, or this model has none.

    Args:
        path: of the ledger of those looks.
    """
    if ledger.broken_links(path):
        return None
    models = {
        entry["bundle"]
        for entry in ledger.read(path)
        if entry.get("test_split_hash", test_split_hash) == test_split_hash
    }
    return len(models) if identity in models else None


def _external(cell: str) -> dict[str, dict[str, Any]]:
    """Return what is known of the cell on each external set that is asked for and was scored."""
    found = {}
    for name in all_params.load().evaluate.external:
        described = _json(paths.EXTERNAL / name / paths.EXTERNAL_SET)
        metrics = _json(paths.EXTERNAL / name / cell / "metrics.json")
        if described is not None and metrics is not None:
            of_cell = described.get("cells", {}).get(cell, {})
            found[name] = described | {"bundle": of_cell.get("bundle"), "metrics": metrics}
    return found


def _cells() -> list[Path]:
    if not paths.EVALUATED.is_dir():
        raise PromotionError(
            f"There is no {paths.EVALUATED}: no model of the last run was evaluated. `pneumo run` "
            "ends the run, or says why it cannot."
        )
    return sorted(path for path in paths.EVALUATED.iterdir() if path.is_dir())


def _reading(predictions: pd.DataFrame, scorer: Scorer, operating_point: str) -> Reading | None:
    """Return None for one class only, or without such an operating point."""
    point = scorer.description.operating_points.get(operating_point)
    try:
        return Reading(as_scores(predictions), point.threshold) if point else None
    except EvaluationError:
        return None


def _predictions(cell: Path) -> pd.DataFrame | None:
    """Return the predictions on test; None without any, or if the file holds something else."""
    try:
        found = read_table(cell / "test" / "predictions.csv")
    except EvaluationError:
        return None
    return found if set(PREDICTION_COLUMNS) < set(found) else None


def _certificate() -> leakage.Certificate | None:
    """Return None without the file, or if it is damaged; another version is an error."""
    try:
        return leakage.read(paths.CERTIFICATE)
    except (FileNotFoundError, ValueError):
        return None


def _json(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None without the file, or if it holds something else."""
    try:
        return read_json(path)
    except (FileNotFoundError, ValueError):
        return None
