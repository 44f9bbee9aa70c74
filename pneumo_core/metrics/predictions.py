"""Predictions as a file, pneumo's own or anybody's.

A CSV with the columns `label` (NORMAL and PNEUMONIA, or 0 and 1) and `probability` (of PNEUMONIA).
Of use if they are there: `threshold`, the same in every row; `patient_key`, without which each film
counts as a patient of its own; `image_id`, by which two files are matched; `logit`, which ranks the
films; `subtype` and what else `predictions.csv` has of a film, or any column to group them by.
"""

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_core.csv_text import read_csv_text
from pneumo_core.errors import EvaluationError
from pneumo_core.labels import LABELS

SPELLINGS = {**{label: label for label in LABELS}, **dict(zip("01", LABELS, strict=True))}
# Others are read as text: 0001234, 2.10 and NA are names, not numbers and not missing.
NUMBERS = ("probability", "logit", "threshold", "width_px", "height_px", "mean", "std")
NAMED_ROWS = 3  # in a message


@dataclass(frozen=True)
class Predictions:
    table: pd.DataFrame  # `label`, `probability`, `patient_key`, and what else was there
    threshold: float | None
    patients_known: bool = True


def read_table(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV, names and metadata as the text that stands there; empty is missing.

    Its encoding and its separator are found out.

    Raises:
        EvaluationError: the file cannot be read as a CSV.
    """
    try:
        csv = read_csv_text(path)
        names = pd.read_csv(io.StringIO(csv.text), sep=csv.separator, nrows=0, dtype=str).columns
        return pd.read_csv(
            io.StringIO(csv.text),
            sep=csv.separator,
            dtype={name: str for name in names if name not in NUMBERS},
            keep_default_na=False,
            na_values=[""],
        )
    except (OSError, ValueError) as error:  # ValueError: not text or not CSV
        raise EvaluationError(f"{path} cannot be read as a CSV: {error}") from error


def read_predictions(path: Path) -> Predictions:
    """Return anybody's predictions, checked.

    Raises:
        EvaluationError: the file cannot be read, a column is missing, or a value is missing or bad.
    """
    table = read_table(path)
    missing = [column for column in ("label", "probability") if column not in table]
    if missing:
        raise EvaluationError(
            f"{path} has no column {' and no '.join(missing)}, only {', '.join(table.columns)}."
        )
    labels = table["label"].str.strip()
    _refuse(path, "label is missing", labels.isna())
    unknown = ~labels.isin(SPELLINGS)
    spelled = ", ".join(map(repr, sorted(labels[unknown].unique())[:NAMED_ROWS]))
    _refuse(path, f"label is {spelled}, not one of {', '.join(SPELLINGS)}", unknown)
    patients_known = "patient_key" in table
    if patients_known:
        _refuse(path, "patient_key is missing", table["patient_key"].isna())
    else:
        table["patient_key"] = [f"row {number}" for number in range(len(table))]
    if "image_id" in table:
        _refuse(path, "image_id is there twice or missing", _unclear(table["image_id"]))
    probabilities = _numbers(path, table["probability"])
    table = table.assign(label=labels.map(SPELLINGS), probability=probabilities)
    if "logit" in table:
        table["logit"] = _numbers(path, table["logit"], low=-np.inf, high=np.inf)
    return Predictions(table, _threshold(path, table), patients_known)


def match(a: Predictions, b: Predictions) -> tuple[Predictions, Predictions]:
    """The two with the same films in the same rows: by `image_id`, or as they stand without one.

    Raises:
        EvaluationError: they are not of the same films.
    """
    left, right = a.table, b.table
    if "image_id" in left and "image_id" in right:
        alone = set(left["image_id"]) ^ set(right["image_id"])
        if alone:
            named = ", ".join(sorted(alone)[:NAMED_ROWS])
            raise EvaluationError(
                f"{len(alone)} films are in one of the two alone, as {named}: a comparison needs "
                "the same films in both."
            )
        right = right.set_index("image_id").loc[left["image_id"]].reset_index()
    if len(left) != len(right) or (left["label"].to_numpy() != right["label"].to_numpy()).any():
        raise EvaluationError(
            f"{len(left)} and {len(right)} rows whose labels are not the same: a comparison needs "
            "the same films in both."
        )
    patients = (left if a.patients_known else right)["patient_key"].to_numpy()
    if not (a.patients_known and b.patients_known):  # then those of the one that knows them
        left, right = (table.assign(patient_key=patients) for table in (left, right))
    return replace(a, table=left), replace(b, table=right)


def _numbers(path: Path, column: pd.Series, low: float = 0, high: float = 1) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    _refuse(path, f"{column.name} is missing or no number", numbers.isna())
    _refuse(path, f"{column.name} is outside {low} to {high}", (numbers < low) | (numbers > high))
    return numbers


def _threshold(path: Path, table: pd.DataFrame) -> float | None:
    if "threshold" not in table:
        return None
    given = _numbers(path, table["threshold"]).unique()
    if len(given) > 1:
        raise EvaluationError(f"{path} has {len(given)} thresholds: one is needed for all films.")
    return float(given[0])


def _unclear(column: pd.Series) -> pd.Series:
    return column.isna() | column.duplicated(keep=False)


def _refuse(path: Path, fault: str, rows: pd.Series) -> None:
    """Raises EvaluationError if any row has the fault; rows are counted as a spreadsheet does."""
    if rows.any():
        first = (np.flatnonzero(rows)[:NAMED_ROWS] + 2).tolist()
        raise EvaluationError(
            f"{path}: {fault} in {int(rows.sum())} of {len(rows)} rows, as in row "
            f"{', '.join(map(str, first))}."
        )
