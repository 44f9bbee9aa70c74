"""Figures of each group of films, and of the worst group.

Bacteria and virus; quarters of the shape, the brightness and the contrast of the films that are
evaluated; colour mode; origin. What is not known of the films is left out.
"""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd

from pneumo_core.arrays import Bools, Floats
from pneumo_core.atomic import JsonDict
from pneumo_core.metrics.intervals import auroc, shares
from pneumo_core.metrics.metrics import Scores

MIN_FILMS = 20  # of the class, for a group to be the worst: fewer tell nothing
QUARTERS = ("lowest", "low", "high", "highest")


def subgroups(predictions: pd.DataFrame, scores: Scores, threshold: float) -> JsonDict:
    """Return by dimension and group `n`, `n_positive`, and sensitivity, specificity and AUROC where
    the group has two patients of the class; quarters also have their bounds `low` and `high`.

    Only films with pneumonia have a subtype: its AUROC is against all films without.
    """
    found: JsonDict = {}
    for dimension, group, members, bounds in _groups(predictions):
        negative = ~scores.positive if dimension == "subtype" else members & ~scores.positive
        figures = _figures(scores, threshold, members, negative)
        found.setdefault(dimension, {})[group] = bounds | figures
    return found


def worst_groups(found: JsonDict) -> JsonDict:
    """Return by figure the group with the lowest lower bound, of those with enough films of its
    class: a floor on this bound holds for every one of them.

    The lowest of many is low by chance too: for a floor, not for a finding.
    """
    worst: JsonDict = {}
    for dimension, groups in found.items():
        for group, figures in groups.items():
            num_well = figures["n"] - figures["n_positive"]
            if dimension == "subtype":
                num_well = MIN_FILMS  # all films without pneumonia, however many
            counted = {
                "sensitivity": figures["n_positive"],
                "specificity": num_well,
                "auroc": min(figures["n_positive"], num_well),
            }
            for name, count in counted.items():
                if name not in figures or count < MIN_FILMS:
                    continue
                if name not in worst or figures[name]["ci_low"] < worst[name]["ci_low"]:
                    worst[name] = {"dimension": dimension, "group": group} | figures[name]
    return worst


def _figures(scores: Scores, threshold: float, members: Bools, negative: Bools) -> JsonDict:
    called, positive = scores.reads(threshold)[None], members & scores.positive
    figures: JsonDict = {"n": int(members.sum()), "n_positive": int(positive.sum())}
    if _several_patients(scores, positive):
        figures["sensitivity"] = asdict(shares(called, positive, scores).figure())
    if _several_patients(scores, members & negative):
        figures["specificity"] = asdict(shares(~called, members & negative, scores).figure())
    if _several_patients(scores, positive) and _several_patients(scores, negative):
        figures["auroc"] = asdict(auroc(scores.part(positive | negative)))
    return figures


def _several_patients(scores: Scores, films: Bools) -> bool:
    return len(np.unique(scores.patient_of[films])) > 1


def _groups(predictions: pd.DataFrame) -> Iterator[tuple[str, str, Bools, JsonDict]]:
    """Yield dimension, group, its films [N], and the bounds of a quarter."""
    for column in ("subtype", "colour_mode", "origin"):
        named = predictions.get(column, pd.Series(dtype=object)).astype(object)
        names = sorted(named.dropna().unique())
        if len(names) > 1 or column == "subtype":  # one group of all films tells nothing new
            for name in names:
                yield column, str(name), (named == name).to_numpy(bool), {}
    for dimension, values in _measured(predictions).items():
        if np.isfinite(values).all() and values.min() < values.max():
            edges = np.quantile(values, np.linspace(0, 1, len(QUARTERS) + 1))
            quarter = np.searchsorted(edges[1:-1], values, side="left")
            for number in np.unique(quarter):
                members = quarter == number
                bounds = {"low": values[members].min(), "high": values[members].max()}
                yield dimension, QUARTERS[number], members, {k: float(v) for k, v in bounds.items()}


def _measured(predictions: pd.DataFrame) -> dict[str, Floats]:
    def column(name: str) -> Floats:
        missing = pd.Series(np.nan, predictions.index)
        values: Floats = pd.to_numeric(predictions.get(name, missing), errors="coerce").to_numpy(
            np.float64, na_value=np.nan
        )
        return values

    return {
        "aspect_ratio": column("width_px") / column("height_px"),
        "height_px": column("height_px"),
        "brightness": column("mean"),
        "contrast": column("std"),
    }
