"""Every trained cell becomes a bundle: calibrated and given thresholds on validation, then scored
on test. The leaderboard is by validation; test figures stand beside it and choose nothing.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import bundle, manifest
from pneumo_core.atomic import replacing_file, replacing_folder, write_json
from pneumo_core.bundle import Blueprint, Description
from pneumo_core.evaluation import as_scores, predict, read_evaluation, write_evaluation
from pneumo_core.images import Images, Stack
from pneumo_core.operating_point import calibrated, choose_operating_points, fit_temperature
from pneumo_core.packed import PackedImages
from pneumo_core.paired import compare, tied_with
from pneumo_core.params import EvaluateParams
from pneumo_core.scoring import Scorer
from tasks import ledger, places


def run(params: EvaluateParams) -> None:
    table = manifest.read(places.SPLIT)
    images = PackedImages.open(places.IMAGES)
    rows = []
    with replacing_folder(places.EVALUATED) as draft:
        for trained in sorted(path for path in places.TRAINED.iterdir() if path.is_dir()):
            folder = draft / trained.name
            _make_bundle(trained, folder / places.BUNDLE, table, images, params)
            rows.append(_evaluate(folder, table, images, params))
    leaderboard = pd.DataFrame(rows).sort_values(
        ["val_auroc", "val_balanced_accuracy", "cell"], ascending=[False, False, True]
    )
    comparisons = {split: _compare(split, leaderboard["cell"]) for split in ("val", "test")}
    write_json(places.COMPARISONS, comparisons)
    tied = tied_with(leaderboard.iloc[0]["cell"], comparisons["val"])
    leaderboard.insert(1, "tied_with_best", leaderboard["cell"].isin(tied))
    with replacing_file(places.LEADERBOARD) as draft_file:
        leaderboard.to_csv(draft_file, index=False)
    best = leaderboard.iloc[0].to_dict()
    write_json(places.METRICS, best)
    print(
        f"evaluate: best on validation is {best['cell']} (AUROC {best['val_auroc']:.4f}; "
        f"on test AUROC {best['test_auroc']:.4f}, accuracy {best['test_accuracy']:.4f})"
    )


def _make_bundle(
    trained: Path, folder: Path, table: pd.DataFrame, images: Stack, params: EvaluateParams
) -> None:
    """Temperature and thresholds from validation complete what was trained."""
    blueprint = Blueprint.model_validate(json.loads((trained / places.BLUEPRINT).read_text()))
    val, val_images = _films(table, images, "val")
    scorer = Scorer.untempered(blueprint, trained / places.WEIGHTS)
    predictions = predict(scorer, val, val_images)
    logits = predictions["logit"].to_numpy(np.float64)
    temperature = fit_temperature(as_scores(predictions).labels, logits)
    predictions["probability"] = calibrated(logits, temperature)
    description = Description(
        **dict(blueprint),
        temperature=temperature,
        calibration_prevalence=float(as_scores(predictions).labels.mean()),
        operating_points=choose_operating_points(as_scores(predictions), params),
    )
    bundle.save(folder, description, trained / places.WEIGHTS)
    write_evaluation(folder.parent / "val", predictions, description, "val", params)


def _evaluate(
    folder: Path, table: pd.DataFrame, images: Stack, params: EvaluateParams
) -> dict[str, Any]:
    """The cell's row of the leaderboard; opens the test split, which is written down."""
    scorer = Scorer.load(folder / places.BUNDLE)
    test, test_images = _films(table, images, "test")
    predictions = predict(scorer, test, test_images)
    certificate = json.loads(places.CERTIFICATE.read_text("utf-8"))
    suspects = set(certificate["lists"]["possible_across_splits"]) & set(test["image_id"])
    on_test = write_evaluation(
        folder / "test", predictions, scorer.description, "test", params, suspects
    )
    ledger.append(
        places.TEST_LEDGER,
        cell=scorer.description.name,
        bundle=bundle.identity(folder / places.BUNDLE),
        n=on_test["n"],
    )
    on_val = json.loads((folder / "val" / "metrics.json").read_text())
    shown = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1", "ece")
    return {"cell": scorer.description.name} | {
        f"{split}_{name}": metrics[name]["value"]
        for split, metrics in (("val", on_val), ("test", on_test))
        for name in shown
    }


def _compare(split: str, cells: Iterable[str]) -> dict[str, Any]:
    """All models on the films of one split, each at its own threshold."""
    return compare({cell: read_evaluation(places.EVALUATED / cell / split) for cell in cells})


def _films(table: pd.DataFrame, images: Stack, split: str) -> tuple[pd.DataFrame, Images]:
    films = manifest.kept(table, split)
    return films, images[films["packed_row"].to_numpy(np.int64)]
