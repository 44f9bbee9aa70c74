"""Every trained cell becomes a bundle: calibrated and given thresholds on validation, then scored
on test. The leaderboard is by the mean of two validations, films as they are and films as another
place might have taken them; test figures stand beside it and choose nothing.
"""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.arrays import Images, Stack
from pneumo_core.atomic import read_json, replacing_file, replacing_folder, write_json
from pneumo_core.data import leakage, manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.data.views import VIEWS
from pneumo_core.evaluation.engine import choose_engine
from pneumo_core.evaluation.evaluation import (
    as_predictions,
    as_scores,
    predict,
    read_evaluation,
    write_evaluation,
)
from pneumo_core.evaluation.measurement import mean_value
from pneumo_core.evaluation.onnx_export import export
from pneumo_core.evaluation.operating_point import choose_operating_points
from pneumo_core.evaluation.plots import plot_tables
from pneumo_core.evaluation.reference import (
    Numbers,
    Reference,
    drawn,
    drift_reference,
    measure_films,
)
from pneumo_core.evaluation.scoring import Features, Scorer
from pneumo_core.evaluation.shifted import shifted
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.paired import Reading, compare, compare_mean_auroc, tied_with
from pneumo_core.metrics.platt import calibrated, fit_platt, slope_at_bound
from pneumo_core.models import bundle, bundled_model, committee
from pneumo_core.models.bundle import Blueprint
from pneumo_core.params import EvaluateParams, TrainParams
from tasks import ledger, paths
from tasks.tracking import connection, runs

VAL, SHIFTED = paths.VALIDATIONS
HEADLINES = (  # of the best cell, for `dvc metrics show`
    *("cell", "choice_auroc", "val_auroc", "val_shifted_auroc", "test_auroc", "test_accuracy"),
    *("test_balanced_accuracy", "test_sensitivity", "test_specificity", "test_ece"),
)


def run(params: EvaluateParams) -> None:
    table = manifest.read(paths.SPLIT)
    images = PackedImages.open(paths.IMAGES)
    asked = all_params.load().train
    rows = []
    with replacing_folder(paths.EVALUATED) as draft:
        for trained in _of_grid(asked):
            folder = draft / read_json(trained / paths.BLUEPRINT)["name"]
            _make_bundle(trained, folder / paths.BUNDLE, table, images, params)
            rows.append(_evaluate(folder, table, images, params))
        if params.committee_size:
            best = _ranked(rows)["cell"].head(params.committee_size)
            folder = draft / committee.NAME
            with tempfile.TemporaryDirectory() as scratch:
                joined = Path(scratch)
                _join([draft / cell / paths.BUNDLE for cell in best], joined, table, images)
                _make_bundle(joined, folder / paths.BUNDLE, table, images, params)
            rows.append(_evaluate(folder, table, images, params))
    leaderboard = _ranked(rows)
    readings = {split: _readings(split, leaderboard["cell"]) for split in (VAL, SHIFTED, "test")}
    comparisons = {split: compare(readings[split]) for split in (VAL, "test")}
    comparisons["choice"] = compare_mean_auroc([readings[VAL], readings[SHIFTED]])
    write_json(paths.COMPARISONS, comparisons)
    tied = tied_with(leaderboard.iloc[0]["cell"], comparisons["choice"])
    leaderboard.insert(1, "tied_with_best", leaderboard["cell"].isin(tied))
    with replacing_file(paths.LEADERBOARD) as draft_file:
        leaderboard.to_csv(draft_file, index=False)
    best = leaderboard.iloc[0].to_dict()
    write_json(paths.METRICS, {name: best[name] for name in HEADLINES})
    _write_plots(readings["test"], best["cell"])
    with connection.copying("the evaluation"):
        runs.record_evaluation(asked)
    print(
        f"evaluate: best on validation is {best['cell']} (AUROC {best['val_auroc']:.4f}, "
        f"shifted {best['val_shifted_auroc']:.4f}; on test AUROC {best['test_auroc']:.4f}, "
        f"accuracy {best['test_accuracy']:.4f})"
    )


def _of_grid(params: TrainParams) -> list[Path]:
    """Return the folders of the cells that are asked for.

    Those of an earlier grid, which may have learned from other films, are taken away: DVC keeps
    them in its cache, and puts one back when it is asked for again.
    """
    asked = {paths.trained(model, each) for model in params.models for each in params.strategies}
    found = {blueprint.parent for blueprint in paths.TRAINED.rglob(paths.BLUEPRINT)}
    for folder in found - asked:
        name = folder.relative_to(paths.TRAINED)
        print(f"evaluate: {name} is not asked for any more and left out")
        shutil.rmtree(folder)
        folder.with_name(f"{folder.name}.csv").unlink(missing_ok=True)  # its learning curve
    return sorted(found & asked)


def _ranked(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows of the leaderboard, the best one on validation first."""
    by = ["choice_auroc", "val_balanced_accuracy", "cell"]
    return pd.DataFrame(rows).sort_values(by, ascending=[False, False, True])


def _join(bundles: list[Path], folder: Path, table: pd.DataFrame, images: Stack) -> None:
    """Write the committee of these models as if it had been trained."""
    _, films = _films(table, images, "val")
    joined, blueprint = committee.join([bundled_model.load(each) for each in bundles], films)
    bundled_model.write_weights(joined, folder / paths.WEIGHTS)
    write_json(folder / paths.BLUEPRINT, blueprint.model_dump(mode="json"))
    print(f"evaluate: the committee is {', '.join(blueprint.origin.params['members'])}")


def _make_bundle(
    trained: Path, folder: Path, table: pd.DataFrame, images: Stack, params: EvaluateParams
) -> None:
    """Write a bundle: the trained weights with calibration and thresholds from validation."""
    blueprint = Blueprint.model_validate(read_json(trained / paths.BLUEPRINT))
    in_torch = TorchEngine.load(blueprint, trained / paths.WEIGHTS)
    val, val_images = _films(table, images, "val")
    with tempfile.TemporaryDirectory() as scratch:
        onnx = Path(scratch) / bundle.ONNX
        made = export(in_torch.model, blueprint.normalisation, val_images, onnx)
        if isinstance(made, str):
            print(f"evaluate: {blueprint.name} has no {bundle.ONNX}: {made}")
        file = None if isinstance(made, str) else onnx
        engine = choose_engine(file, lambda: in_torch)
        scorer = Scorer.uncalibrated(blueprint, engine, VIEWS[: params.num_views])
        logits, features = scorer.predict(val_images)
        predictions = as_predictions(scorer, val, logits)
        on_shifted = predict(scorer, val, shifted(val_images, val["pixel_sha256"]))
        slope, intercept = fit_platt(as_scores(predictions).labels, logits)
        if slope_at_bound(slope, logits):
            print(f"evaluate: {blueprint.name}: validation finds no order in its logits")
        for rows in (predictions, on_shifted):
            rows["probability"] = calibrated(rows["logit"].to_numpy(np.float64), slope, intercept)
        description = scorer.description.model_copy(
            update={
                "slope": slope,
                "intercept": intercept,
                "calibration_prevalence": float(as_scores(predictions).labels.mean()),
                "operating_points": choose_operating_points(as_scores(predictions), params),
                "onnx": made,
            }
        )
        reference = _make_reference(scorer, table, images, features, as_scores(predictions))
        bundle.save(folder, description, trained / paths.WEIGHTS, reference.write, file)
    write_evaluation(folder.parent / VAL, predictions, description, VAL, params)
    write_evaluation(folder.parent / SHIFTED, on_shifted, description, SHIFTED, params)


def _make_reference(
    scorer: Scorer, table: pd.DataFrame, images: Stack, val_features: Features, val: Scores
) -> Reference:
    train_films = manifest.kept(table, "train")
    statistics, pixels = _measure(drawn(train_films), images)
    val_films = manifest.kept(table, "val")
    val_statistics, _ = _measure(val_films, images)
    chosen = drift_reference(manifest.kept(table)[lambda film: film["split"] != "test"])
    return Reference.of(
        statistics,
        scorer.features(pixels),
        val_statistics,
        val_features,
        val.probabilities,
        val.labels,
        val_films.index.get_indexer(chosen),
        train_films["pixel_sha256"],
    )


def _measure(films: pd.DataFrame, images: Stack) -> tuple[Numbers, Images]:
    pixels = images[films["packed_row"].to_numpy(np.int64)]
    return measure_films(pixels, films["width_px"], films["height_px"]), pixels


def _evaluate(
    folder: Path, table: pd.DataFrame, images: Stack, params: EvaluateParams
) -> dict[str, Any]:
    """The cell's row of the leaderboard; opens the test split, which is written down."""
    scorer = Scorer.load(folder / paths.BUNDLE)
    test, test_images = _films(table, images, "test")
    predictions = predict(scorer, test, test_images)
    certificate = leakage.read(paths.CERTIFICATE)
    suspects = set(certificate["lists"]["possible_across_splits"]) & set(test["image_id"])
    on_test = write_evaluation(
        folder / "test", predictions, scorer.description, "test", params, suspects
    )
    look = {
        "cell": scorer.description.name,
        "bundle": bundle.identity(folder / paths.BUNDLE),
        "n": on_test["n"],
        "test_split_hash": certificate["test_split_hash"],
    }
    ledger.append(paths.TEST_LEDGER, **look)
    here = paths.TEST_LEDGER_HERE
    if here.is_file() and not here.samefile(paths.TEST_LEDGER):  # an experiment in a copy
        ledger.append(here, **look)
    on = {split: read_json(folder / split / "metrics.json") for split in paths.VALIDATIONS} | {
        "test": on_test
    }
    shown = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1", "ece")
    choice = mean_value([on[VAL], on[SHIFTED]], "auroc")
    return {"cell": scorer.description.name, "choice_auroc": choice} | {
        f"{split}_{name}": metrics[name]["value"] for split, metrics in on.items() for name in shown
    }


def _write_plots(readings: Mapping[str, Reading], best: str) -> None:
    metrics = read_json(paths.EVALUATED / best / "test" / "metrics.json")
    with replacing_folder(paths.PLOTS) as draft:
        for name, table in plot_tables(readings, best, metrics).items():
            table.to_csv(draft / f"{name}.csv", index=False)


def _readings(split: str, cells: Iterable[str]) -> dict[str, Reading]:
    """Return the readings of all models, each at its own threshold."""
    return {cell: read_evaluation(paths.EVALUATED / cell / split) for cell in cells}


def _films(table: pd.DataFrame, images: Stack, split: str) -> tuple[pd.DataFrame, Images]:
    films = manifest.kept(table, split)
    return films, images[films["packed_row"].to_numpy(np.int64)]
