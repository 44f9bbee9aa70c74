"""Claims on scores and figures: drawn films scored again, the rest from the predictions."""

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_core.atomic import JsonDict, file_sha256, read_json
from pneumo_core.data.packed import INDEX, PackedImages
from pneumo_core.evaluation.evaluation import as_scores, write_evaluation
from pneumo_core.evaluation.operating_point import choose_operating_points
from pneumo_core.metrics.platt import calibrated, fit_platt
from pneumo_core.metrics.predictions import read_table
from tasks import paths
from tasks.attestation.claims import (
    Outcome,
    compare_values,
    differs,
    largest_difference,
    off_by,
    require,
    same,
    some,
)
from tasks.attestation.data import NUM_FILMS
from tasks.attestation.subject import Subject

VAL, TEST = paths.VALIDATIONS[0], "test"


def evaluation(subject: Subject) -> Outcome:
    """The files of the evaluation are those of the statement."""
    named = subject.statement["predicate"]["runDetails"]["byproducts"]
    stated = {Path(each["name"]): each["digest"]["sha256"] for each in named}
    splits = (*paths.VALIDATIONS, TEST)
    there = {path for split in splits for path in (subject.evaluated / split).glob("*.*")}
    other = {
        path
        for path in stated.keys() | there
        if not path.is_file() or file_sha256(path) != stated.get(path)
    }
    if other:
        return differs(f"not as the statement names them: {some([str(path) for path in other])}")
    return same(f"{len(stated)} files of the evaluation")


def scores(subject: Subject) -> Outcome:
    """Drawn films of validation and test get the same probabilities from the model again."""
    require(paths.IMAGES / INDEX)
    images = PackedImages.open(paths.IMAGES)
    row_of = subject.table.set_index("image_id")["packed_row"]
    worst, num_films = 0.0, 0
    for split in (VAL, TEST):
        predictions = _predictions(subject, split)
        drawn = predictions.iloc[subject.draw(NUM_FILMS, predictions)]
        rows = row_of.loc[drawn["image_id"]].to_numpy(np.int64)
        again = subject.scorer.predict_probabilities(images[rows])
        worst = max(worst, largest_difference(again, drawn["probability"].to_numpy()))
        num_films += len(drawn)
    return off_by(worst, f"{num_films} films scored again")


def calibration(subject: Subject) -> Outcome:
    """Slope and intercept follow from the predictions on validation, and all probabilities from
    these."""
    val, described = as_scores(_predictions(subject, VAL)), subject.description
    if val.logits is None:
        return differs("the predictions on validation have no logits")
    slope, intercept = fit_platt(val.labels, val.logits)
    worst = 0.0
    for split in (VAL, TEST):
        predictions = _predictions(subject, split)
        again = calibrated(predictions["logit"].to_numpy(), described.slope, described.intercept)
        worst = max(worst, largest_difference(again, predictions["probability"].to_numpy()))
    worst = max(worst, abs(slope - described.slope), abs(intercept - described.intercept))
    return off_by(worst, "slope, intercept and all probabilities computed again")


def operating_points(subject: Subject) -> Outcome:
    """The thresholds follow from the predictions on validation."""
    found = choose_operating_points(as_scores(_predictions(subject, VAL)), subject.params.evaluate)
    stated = subject.description.operating_points
    return compare_values(
        {name: asdict(point) for name, point in found.items()},
        {name: asdict(point) for name, point in stated.items()},
        f"{', '.join(stated)} chosen again",
    )


def figures(subject: Subject) -> Outcome:
    """`metrics.json` of validation and test follow from the predictions."""
    found, stated = {}, {}
    for split in (VAL, TEST):
        require(subject.evaluated / split / "metrics.json")
        stated[split] = read_json(subject.evaluated / split / "metrics.json")
        found[split] = _measured(subject, split)
    return compare_values(found, stated, "all figures of validation and test computed again")


def _measured(subject: Subject, split: str) -> JsonDict:
    predictions = _predictions(subject, split)
    suspects: set[str] = set()
    if split == TEST:
        require(paths.CERTIFICATE)
        linked = read_json(paths.CERTIFICATE)["lists"]["possible_across_splits"]
        suspects = set(linked) & set(predictions["image_id"])
    with tempfile.TemporaryDirectory() as scratch:
        params, folder = subject.params.evaluate, Path(scratch)
        write_evaluation(folder, predictions, subject.description, split, params, suspects)
        return read_json(folder / "metrics.json")


def _predictions(subject: Subject, split: str) -> pd.DataFrame:
    path = subject.evaluated / split / "predictions.csv"
    require(path)
    return read_table(path)
