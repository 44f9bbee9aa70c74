"""Figures of each group of films, and of the worst group."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from pneumo_core.arrays import Bools
from pneumo_core.atomic import JsonDict
from pneumo_core.metrics.dimensions import NOT_STATED, SUBTYPE, Dimensions
from pneumo_core.metrics.intervals import auroc, shares
from pneumo_core.metrics.metrics import Scores

FIGURES = ("sensitivity", "specificity", "auroc")
MIN_BEHIND = 20  # a figure of a group: films for a floor, patients for a comparison


def subgroups(groups_of: Dimensions, scores: Scores, threshold: float) -> JsonDict:
    """Return by dimension and group `n`, `n_positive`, the bounds of a quarter, and the figures of
    the group, each with the films and patients behind it, if these are at least two patients.
    """
    return {
        dimension: {
            group.name: group.bounds
            | {
                "n": int(group.films.sum()),
                "n_positive": int((group.films & scores.positive).sum()),
            }
            | _figures(films_of(dimension, group.films, scores), scores, threshold)
            for group in groups
        }
        for dimension, groups in groups_of.items()
    }


def films_of(dimension: str, members: Bools, scores: Scores) -> dict[str, Bools]:
    """Return the films behind each figure of a group.

    Only films with pneumonia have a subtype: its AUROC is against all films without.
    """
    ranked = members | ~scores.positive if dimension == SUBTYPE else members
    films = (members & scores.positive, members & ~scores.positive, ranked)
    return dict(zip(FIGURES, films, strict=True))


def behind(figure: str, films: Bools, scores: Scores) -> dict[str, int]:
    """Return the films and patients behind a figure; behind an AUROC, those of the rarer class."""
    classes = (films & scores.positive, films & ~scores.positive)
    parts = classes if figure == "auroc" else (films,)
    return {
        "n_films": min(int(part.sum()) for part in parts),
        "n_patients": min(len(np.unique(scores.patient_of[part])) for part in parts),
    }


def worst_groups(found: Mapping[str, Mapping[str, Any]]) -> JsonDict:
    """Return by figure the group with the lowest lower bound, of those with enough films: a floor
    on this bound holds for every one of them.

    The lowest of many is low by chance too: for a floor, not for a finding.
    """
    worst: JsonDict = {}
    for dimension, groups in found.items():
        for group, figures in groups.items():
            for name in sure_figures(figures, "n_films"):
                if name not in worst or figures[name]["ci_low"] < worst[name]["ci_low"]:
                    worst[name] = {"dimension": dimension, "group": group} | figures[name]
    return worst


def sure_figures(group: Mapping[str, Any], of: Literal["n_films", "n_patients"]) -> list[str]:
    """Return the figures of a group that have enough films or patients behind them."""
    return [name for name in FIGURES if name in group and group[name][of] >= MIN_BEHIND]


def num_large(groups: Mapping[str, Any], figure: str) -> int:
    """Return how many groups have enough films for a figure; not stated is no group here."""
    stated = (group for name, group in groups.items() if name != NOT_STATED)
    return sum(figure in sure_figures(group, "n_films") for group in stated)


def _figures(films: Mapping[str, Bools], scores: Scores, threshold: float) -> JsonDict:
    called = scores.reads(threshold)[None]
    measures = {
        "sensitivity": lambda among: shares(called, among, scores).figure(),
        "specificity": lambda among: shares(~called, among, scores).figure(),
        "auroc": lambda among: auroc(scores.part(among)),
    }
    counts = {name: behind(name, among, scores) for name, among in films.items()}
    return {
        name: asdict(measures[name](films[name])) | count
        for name, count in counts.items()
        if count["n_patients"] > 1
    }
