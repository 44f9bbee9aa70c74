"""Groups of films: a dimension for each thing that is known of them.

- subtype, colour mode and origin;
- quarters of shape, height, brightness and contrast;
- each column of metadata: ages in age groups, many numbers in quarters, other values as they are.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pneumo_core.arrays import Bools, Floats
from pneumo_core.atomic import JsonDict
from pneumo_core.data import manifest
from pneumo_core.errors import EvaluationError

AGE, SUBTYPE = "age", "subtype"  # only films with pneumonia have a subtype
NAMED = (SUBTYPE, "colour_mode", "origin")
MEASURED = ("aspect_ratio", "height_px", "brightness", "contrast")
QUARTERS = ("lowest quarter", "second quarter", "third quarter", "highest quarter")
MAX_VALUES = 20  # of a column: more numbers become quarters, rarer texts "other"
OTHER, NOT_STATED = "other", "not stated"
NO_DIMENSIONS = {"image_id", "path", "patient_key", "label", "probability", "logit", "threshold"}


@dataclass(frozen=True)
class Group:
    name: str
    films: Bools  # [N]
    bounds: JsonDict = field(default_factory=dict)  # of a quarter: `low` and `high`


Dimensions = dict[str, list[Group]]


def dimensions(films: pd.DataFrame, by: Collection[str] = ()) -> Dimensions:
    """Return the groups of each dimension; films without a value are the last, `NOT_STATED`.

    Args:
        films: rows of `predictions.csv`, or anybody's.
        by: names of dimensions or of other columns; empty: every dimension that is known.

    Raises:
        EvaluationError: there is no dimension and no column of that name.
    """
    of_films, of_metadata = dict(_of_films(films)), dict(_of_metadata(films))
    known = of_metadata | of_films | of_metadata  # metadata come first, and in place of others
    if not by:
        return known
    columns = {str(name).removeprefix(manifest.METADATA): films[name] for name in films.columns}
    offered = {*known, *columns} - NO_DIMENSIONS
    if unknown := [name for name in by if name not in offered]:
        raise EvaluationError(
            f"There is no column {' and no '.join(unknown)} to group the films by, only "
            f"{', '.join(sorted(offered))}."
        )
    return {name: known.get(name) or _of_column(name, columns[name]) for name in by}


def _of_films(films: pd.DataFrame) -> Iterator[tuple[str, list[Group]]]:
    for name in NAMED:
        groups = _by_value(films[name]) if name in films else []
        stated = [group for group in groups if group.name != NOT_STATED]
        if len(stated) > 1 or (stated and name == SUBTYPE):  # one group of all tells nothing new
            yield name, stated
    for name, values in _measured(films).items():
        if np.isfinite(values).all() and values.min() < values.max():
            yield name, _quarters(values)


def _of_metadata(films: pd.DataFrame) -> Iterator[tuple[str, list[Group]]]:
    for column in manifest.metadata_columns(films):
        if films[column].notna().any():
            name = column.removeprefix(manifest.METADATA)
            yield name, _of_column(name, films[column])


def _of_column(name: str, column: pd.Series) -> list[Group]:
    if name == AGE:
        return _by_value(manifest.age_groups(column))
    numbers = pd.to_numeric(column, errors="coerce").astype(np.float64)
    if numbers.nunique() > MAX_VALUES and numbers.notna().equals(column.notna()):
        return _quarters(numbers.to_numpy())
    return _by_value(column)


def _by_value(column: pd.Series) -> list[Group]:
    values = column.astype(object).where(column.notna(), None)
    texts = values.map(str, na_action="ignore")
    frequent = texts.value_counts().sort_index().nlargest(MAX_VALUES).index
    texts = texts.where(texts.isin(frequent) | texts.isna(), OTHER).fillna(NOT_STATED)
    return [Group(name, (texts == name).to_numpy(bool)) for name in sorted(set(texts), key=_place)]


def _place(name: str) -> tuple[bool, int, str]:
    """Return what names are sorted by: 5-11 stands before 12-17, what is not stated at the end."""
    number = re.match(r"\d*", name)
    return name in (OTHER, NOT_STATED), int(f"0{number[0] if number else ''}"), name


def _quarters(values: Floats) -> list[Group]:
    """Return the quarters of the finite values, with the lowest and the highest value of each."""
    stated = np.isfinite(values)
    edges = np.quantile(values[stated], np.linspace(0, 1, len(QUARTERS) + 1))
    quarter = np.where(stated, np.searchsorted(edges[1:-1], values, side="left"), -1)
    groups = []
    for number, name in enumerate(QUARTERS):
        if (films := quarter == number).any():
            bounds = {"low": float(values[films].min()), "high": float(values[films].max())}
            groups.append(Group(name, films, bounds))
    return groups if stated.all() else [*groups, Group(NOT_STATED, ~stated)]


def _measured(films: pd.DataFrame) -> dict[str, Floats]:
    def column(name: str) -> Floats:
        missing = pd.Series(np.nan, films.index)
        values: Floats = pd.to_numeric(films.get(name, missing), errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
        return values

    width, height = column("width_px"), column("height_px")
    return dict(zip(MEASURED, (width / height, height, column("mean"), column("std")), strict=True))
