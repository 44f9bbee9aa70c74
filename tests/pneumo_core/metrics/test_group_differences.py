"""Do groups differ beyond chance? Level and power by simulation; interval, p and verdict agree."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from pneumo_core.atomic import JsonDict
from pneumo_core.metrics.dimensions import dimensions
from pneumo_core.metrics.group_differences import MAX_DIFFERENCE, group_differences, verdict
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.subgroups import subgroups

THRESHOLD = 0.5


def differences(films: pd.DataFrame, scores: Scores) -> JsonDict:
    groups_of = dimensions(films)
    found = subgroups(groups_of, scores, THRESHOLD)
    return group_differences(groups_of, found, scores, THRESHOLD)


def adults(
    seed: int, num_patients: int, less_in_ap: float = 0, more_in_men: float = 0
) -> tuple[pd.DataFrame, Scores]:
    """Draw films as NIH's are: up to three of a patient, which are alike, in views of their own.

    Args:
        less_in_ap: what the logits of pneumonia lack in AP films.
        more_in_men: what those of men have more.
    """
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(num_patients), rng.choice([1, 1, 1, 2, 3], num_patients))
    positive = (rng.random(num_patients) < 0.5)[patient]
    female = (rng.random(num_patients) < 0.45)[patient]
    is_ap = rng.random(len(patient)) < 0.5
    ages = rng.normal(46, 17, num_patients).clip(1, 95).astype(int).astype(str)[patient]
    noise = 0.87 * rng.normal(size=len(patient)) + 0.5 * rng.normal(size=num_patients)[patient]
    skill = 1.74 - less_in_ap * is_ap + more_in_men * ~female
    films = pd.DataFrame(
        {
            "meta_sex": np.where(female, "F", "M"),
            "meta_view": np.where(is_ap, "AP", "PA"),
            "meta_age": ages,
        }
    )
    probabilities = expit(noise + skill * positive - 0.75)
    return films, Scores(positive.astype(int), probabilities, patient.astype(np.str_))


def found_beyond_chance(found: JsonDict) -> set[tuple[str, str]]:
    return {
        (dimension, each["figure"])
        for dimension, of_dimension in found.items()
        for each in of_dimension["differences"]
        if each["p"] < 0.05
    }


@pytest.mark.slow
def test_without_a_difference_one_in_twenty_sets_shows_one() -> None:
    """5 % of 150 sets are 7 or 8; more than 14 would be beyond chance at 1 % (more: ADR 28)."""
    shown = [found_beyond_chance(differences(*adults(seed, 250))) for seed in range(150)]
    assert 0 < sum(map(bool, shown)) <= 14


@pytest.mark.slow
def test_a_difference_as_nihs_is_found() -> None:
    """Sensitivity .59 in AP films and .84 in PA films, of 400 patients: found 9 times in 10."""
    shown = [found_beyond_chance(differences(*adults(seed, 400, 0.77))) for seed in range(30)]
    assert sum(("view", "sensitivity") in each for each in shown) >= 24
    assert sum(("sex", "sensitivity") in each for each in shown) <= 2


@pytest.mark.parametrize("seed", range(12))
def test_interval_p_and_verdict_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    less, more = rng.uniform(0, 1.5, 2)
    for of_dimension in differences(*adults(seed, 400, less, more)).values():
        for each in of_dimension["differences"]:
            beyond = each["ci_low"] > 0 or each["ci_high"] < 0
            assert beyond == (each["p"] < 0.05)
            assert each["ci_low"] <= each["value"] <= each["ci_high"]
        shown = [each for each in of_dimension["differences"] if each["p"] < 0.05]
        assert bool(shown) == (of_dimension["verdict"] in ("differs", "fails"))


def test_two_groups_are_compared_once_and_more_with_the_others() -> None:
    found = differences(*adults(0, 600))
    sex = found["sex"]["differences"]
    assert [(each["group"], each["versus"]) for each in sex] == [("F", "M")] * 3
    ages = [each for each in found["age"]["differences"] if each["figure"] == "auroc"]
    assert [(each["group"], each["versus"]) for each in ages] == [
        ("18-39", None), ("40-64", None), ("65+", None),
    ]  # fmt: skip


def test_a_small_group_and_films_without_a_value_are_shown_and_not_compared() -> None:
    films, scores = adults(0, 300)
    films["meta_view"] = np.where(np.arange(len(films)) < 30, None, films["meta_view"])
    films["meta_view"] = films["meta_view"].where(films.index < len(films) - 15, "LATERAL")
    groups_of = dimensions(films)
    found = subgroups(groups_of, scores, THRESHOLD)
    assert list(found["view"]) == ["AP", "LATERAL", "PA", "not stated"]
    compared = group_differences(groups_of, found, scores, THRESHOLD)["view"]["differences"]
    assert {(each["group"], each["versus"]) for each in compared} == {("AP", "PA")}


def test_films_are_no_patients() -> None:
    """Thirty patients with ten like films each do not count as 300."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(60), 10)
    positive, female = patient % 2 == 0, patient % 4 < 2
    hard = (rng.random(60) < np.where(np.arange(60) % 4 < 2, 0.35, 0.15))[patient]
    probabilities = np.where(positive ^ hard, 0.9, 0.1) + rng.uniform(0, 0.05, 600)
    films = pd.DataFrame({"meta_sex": np.where(female, "F", "M")})

    def smallest_p(keys: Any) -> float:
        scores = Scores(positive.astype(int), probabilities, keys.astype(np.str_))
        found = differences(films, scores)["sex"]["differences"]
        return min((each["p"] for each in found), default=1.0)

    assert smallest_p(np.arange(600)) < 0.05 <= smallest_p(patient)


def group(low: float, high: float, num_patients: int = 100) -> dict[str, Any]:
    figure = {"value": (low + high) / 2, "ci_low": low, "ci_high": high}
    figure |= {"n_films": 100, "n_patients": num_patients}
    return {"sensitivity": figure, "specificity": figure}


def difference(half_width: float, value: float = 0.0) -> list[dict[str, Any]]:
    low, high = value - half_width, value + half_width
    p = 0.01 if low > 0 or high < 0 else 0.5
    each = {"value": value, "ci_low": low, "ci_high": high, "p": p}
    return [each | {"figure": figure} for figure in ("sensitivity", "specificity")]


GOOD = {"F": group(0.8, 0.9), "M": group(0.8, 0.9)}
SMALL = {"F": group(0.8, 0.9), "M": group(0.1, 0.4, num_patients=19)}
NARROW = difference(MAX_DIFFERENCE - 0.01)


@pytest.mark.parametrize(
    ("groups", "compared", "expected"),
    [
        (GOOD, NARROW, "alike"),
        (GOOD, difference(MAX_DIFFERENCE + 0.01), "wide"),
        (GOOD, difference(0.02, -0.03), "differs"),
        (GOOD, NARROW[:1], "few"),  # nothing is known of specificity
        (GOOD, [], "few"),
        (SMALL, [], "few"),
        ({"F": group(0.4, 0.6), "M": group(0.4, 0.6)}, NARROW, "coin"),
        ({"F": group(0.8, 0.9), "M": group(0.0, 0.02)}, difference(0.02, -0.9), "fails"),
        ({"F": group(0.0, 0.02), "M": group(0.0, 0.02)}, NARROW, "fails"),
    ],
)
def test_verdict(groups: Any, compared: Any, expected: str) -> None:
    assert verdict("sex", groups, compared) == expected


def test_subtypes_need_no_specificity() -> None:
    assert verdict("subtype", GOOD, NARROW[:1]) == "alike"
