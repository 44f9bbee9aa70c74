"""Does a model do as well in one group of films as in the others?

In each dimension the groups with 20 patients behind a figure are compared, each with the others
of these together. Patients are the unit. The interval of a difference is MOVER's from the groups'
own intervals and their correlation over the patients with films in both (Newcombe 1998); p is the
level at which it reaches 0, corrected by Holm for all comparisons. The interval is at the level at
which Holm tests this p: it leaves out 0 where p is below 5 %, and only there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from pneumo_core.arrays import Bools, Floats, Ints
from pneumo_core.atomic import JsonDict
from pneumo_core.metrics.differences import correlation, p_of
from pneumo_core.metrics.dimensions import NOT_STATED, SUBTYPE, Dimensions, Group
from pneumo_core.metrics.estimates import Estimates, difference, wilson_interval
from pneumo_core.metrics.influence import of_auroc
from pneumo_core.metrics.intervals import effective_shares, on_logit_scale
from pneumo_core.metrics.metrics import Estimate, Scores
from pneumo_core.metrics.paired import ALPHA, holm
from pneumo_core.metrics.subgroups import FIGURES, films_of, sure_figures

MAX_DIFFERENCE = 0.10  # groups are alike if no interval of a difference reaches beyond it
COIN = 0.5  # of sensitivity and specificity: a coin reads as many films of a class rightly
SHARES = ("sensitivity", "specificity")

Verdict = Literal["fails", "differs", "alike", "few", "wide", "coin"]


@dataclass(frozen=True)
class _Comparison:
    dimension: str
    what: JsonDict  # group, versus, figure
    interval: Callable[[float], Estimate]  # of the difference, by 1 less its confidence


@dataclass(frozen=True)
class _Part:
    """A figure of some of the films."""

    value: float
    by_patient: Floats  # [K], what each of all patients adds to it
    interval: Callable[[float], Estimates]  # by its confidence


def group_differences(
    groups_of: Dimensions, found: JsonDict, scores: Scores, threshold: float
) -> JsonDict:
    """Return by dimension its `verdict` and its `differences`.

    Each of these is {group, versus, figure, value, ci_low, ci_high, p}: the group less `versus`,
    or less the other groups together if that is null.

    Args:
        found: the figures of the same groups, from `subgroups`.
    """
    compared = list(_comparisons(groups_of, found, scores, threshold))
    tested = _tested(compared)
    return {
        dimension: {
            "verdict": verdict(dimension, found[dimension], of_dimension),
            "differences": of_dimension,
        }
        for dimension in groups_of
        for of_dimension in [[row for each, row in tested if each == dimension]]
    }


def verdict(
    dimension: str, groups: Mapping[str, Any], differences: Sequence[Mapping[str, Any]]
) -> Verdict:
    """Return what is shown of a dimension.

    - fails: less than half of a class is read rightly in some group;
    - differs: a difference is beyond chance;
    - few: fewer than two groups have the patients for sensitivity, or for specificity;
    - wide: a difference may be larger than `MAX_DIFFERENCE`;
    - coin: some group may be read no better than by a coin;
    - alike: none of these.

    A figure of a group counts by its whole interval, if it has 20 patients behind it.
    """
    large = [
        group[name]
        for group in groups.values()
        for name in sure_figures(group, "n_patients")
        if name in SHARES
    ]
    needed = SHARES[:1] if dimension == SUBTYPE else SHARES
    if any(figure["ci_high"] < COIN for figure in large):
        return "fails"
    if any(each["p"] < ALPHA for each in differences):
        return "differs"
    if not {each["figure"] for each in differences}.issuperset(needed):
        return "few"
    if reach(differences) > MAX_DIFFERENCE:
        return "wide"
    return "coin" if any(figure["ci_low"] <= COIN for figure in large) else "alike"


def reach(differences: Sequence[Mapping[str, Any]]) -> float:
    """Return how large a difference may be, by the intervals."""
    return max(float(max(-each["ci_low"], each["ci_high"])) for each in differences)


def _comparisons(
    groups_of: Dimensions, found: JsonDict, scores: Scores, threshold: float
) -> Iterator[_Comparison]:
    for dimension, groups in groups_of.items():
        for figure in FIGURES:
            large = [
                group
                for group in groups
                if group.name != NOT_STATED
                and figure in sure_figures(found[dimension][group.name], "n_patients")
            ]
            for group, others in _opposed(large):
                a, b = (
                    _part(figure, films_of(dimension, films, scores)[figure], scores, threshold)
                    for films in (group.films, np.any([each.films for each in others], axis=0))
                )
                versus = others[0].name if len(others) == 1 else None
                yield _Comparison(
                    dimension,
                    {"group": group.name, "versus": versus, "figure": figure},
                    partial(_interval, a, b, correlation(a.by_patient, b.by_patient)),
                )


def _opposed(groups: Sequence[Group]) -> Iterator[tuple[Group, Sequence[Group]]]:
    """Yield each group and the others; of two groups the first alone, the second is its mirror."""
    for group in groups[:1] if len(groups) == 2 else groups:
        if others := [each for each in groups if each is not group]:
            yield group, others


def _interval(a: _Part, b: _Part, alike: float, p: float) -> Estimate:
    return difference(a.interval(1 - p), b.interval(1 - p), alike).figure()


def _part(figure: str, films: Bools, scores: Scores, threshold: float) -> _Part:
    by_patient = np.zeros(scores.patient_of.max() + 1)
    if figure == "auroc":
        part = scores.part(films)
        ranked = of_auroc(part)
        by_patient[np.unique(scores.patient_of[films])] = ranked.by_patient
        return _Part(ranked.value, by_patient, partial(on_logit_scale, ranked, part))
    right = scores.reads(threshold) == scores.positive
    value, num_films = effective_shares(right[None], films, scores)
    np.add.at(by_patient, scores.patient_of[films], right[films] - value)
    return _Part(float(value[0]), by_patient, partial(wilson_interval, value, num_films))


def _tested(compared: Sequence[_Comparison]) -> list[tuple[str, JsonDict]]:
    """Return the dimension and the entry of each comparison, at Holm's levels."""
    raw = [p_of(each.interval, each.interval(ALPHA).value) for each in compared]
    corrected = holm(raw)
    num_beyond = sum(p < ALPHA for p in corrected)
    place: Ints = np.argsort(np.argsort(raw, kind="stable"))
    rows = []
    for each, p, before in zip(compared, corrected, place, strict=True):
        # Holm tests the next p at a larger level only while all before it are beyond chance.
        level = ALPHA / (len(compared) - min(int(before), num_beyond))
        rows.append((each.dimension, each.what | asdict(each.interval(level)) | {"p": p}))
    return rows
