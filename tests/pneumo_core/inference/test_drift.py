"""Drift: raised at most at the stated rate where there is none, and found where there is."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from pneumo_core.evaluation.reference import STATISTICS, one_per_patient
from pneumo_core.inference.drift import KINDS, Findings, compare, figures_of
from pneumo_core.params import MonitorParams

pytestmark = pytest.mark.slow

RATE = 0.05
NUM_LOOKS = 100
FILMS_PER_PATIENT = (1, 1, 1, 1, 1, 1, 2, 2, 3, 6)
ANY_DISTANCE = MonitorParams(max_false_alarm_rate=RATE, min_distance=0)


def population(num_films: int, rng: np.random.Generator) -> pd.DataFrame:
    """Films whose figures depend on each other, and are alike within a patient."""
    sizes = rng.choice(FILMS_PER_PATIENT, num_films)
    patients = np.repeat(np.arange(num_films), sizes)[:num_films]
    common = rng.standard_normal((num_films, 1))
    of_patient = (rng.standard_normal((num_films, len(KINDS))) + common)[patients]
    films = of_patient + 0.5 * rng.standard_normal((num_films, len(KINDS)))
    hashes = [f"{number:016x}" for number in rng.permutation(num_films)]
    table = pd.DataFrame(films, columns=list(KINDS))
    return table.assign(patient_group=patients.astype(str), pixel_sha256=hashes)


def looks(num_films: int, choose: Callable[[pd.DataFrame], pd.DataFrame]) -> Iterator[bool]:
    rng = np.random.default_rng(num_films)
    for _ in range(NUM_LOOKS):
        drift_reference, later = (choose(population(n, rng))[list(KINDS)] for n in (400, num_films))
        yield any(each.drifted for each in compare(drift_reference, later, ANY_DISTANCE))


@pytest.mark.parametrize("num_films", [20, 200, 2000])
def test_films_of_the_same_kind_alarm_at_most_at_the_stated_rate(num_films: int) -> None:
    num_alarms = sum(looks(num_films, one_per_patient))
    assert num_alarms <= binom.ppf(0.999, NUM_LOOKS, RATE)


def test_films_of_one_patient_would_alarm_more_often_if_counted_each() -> None:
    """So the test above would see it."""
    assert sum(looks(200, lambda films: films)) > 2 * binom.ppf(0.999, NUM_LOOKS, RATE)


@pytest.fixture
def drift_reference() -> pd.DataFrame:
    return population(400, np.random.default_rng(1))[list(KINDS)]


@pytest.mark.parametrize("figure", KINDS)
def test_drift_of_one_figure_is_found_and_named(drift_reference: pd.DataFrame, figure: str) -> None:
    later = population(60, np.random.default_rng(2))[list(KINDS)]
    later[figure] += 3
    found = [each for each in compare(drift_reference, later, MonitorParams()) if each.drifted]
    assert [(each.figure, each.kind) for each in found] == [(figure, KINDS[figure])]
    assert found[0].median - found[0].reference_median == pytest.approx(3, abs=1)


def test_what_is_sure_but_small_is_no_drift() -> None:
    rng = np.random.default_rng(3)
    drift_reference, later = (population(9000, rng)[list(KINDS)] for _ in range(2))
    later["mean"] += 0.3
    (mean, *_) = compare(drift_reference, later, MonitorParams())
    assert mean.p < 1e-9
    assert mean.distance < MonitorParams().min_distance
    assert not mean.drifted


def test_figures_stand_under_their_names() -> None:
    statistics = np.arange(2 * len(STATISTICS), dtype=np.float32).reshape(2, -1)
    features = np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], np.float32)
    table = figures_of(statistics, features, np.array([0.1, 0.2]), np.array([0.3, 0.4]))
    assert list(table) == list(KINDS)
    assert table["std"].tolist() == [1, 1 + len(STATISTICS)]
    assert table["aspect"].tolist() == [len(STATISTICS) - 1, 2 * len(STATISTICS) - 1]
    assert table["direction_4"].tolist() == [4, 9]
    assert (table["ood_score"].tolist(), table["probability"].tolist()) == (
        [0.1, 0.2],
        [0.3, 0.4],
    )


def test_drift_or_enough_new_films_call_for_a_training(drift_reference: pd.DataFrame) -> None:
    params = MonitorParams(min_new_films=50)
    calm = Findings(
        "s",
        "m",
        80,
        80,
        0,
        49,
        60,
        400,
        tuple(compare(drift_reference, drift_reference, params)),
        params,
    )
    assert calm.reasons == []
    assert calm.unusable is None
    lost = replace(calm, num_quarantined=5, max_quarantined_fraction=0.05, main_fault="empty")
    assert lost.reasons == []
    assert lost.unusable == "5 of 80 new films cannot be used; most often: empty"
    assert replace(lost, num_quarantined=4).unusable is None
    assert replace(calm, num_labelled=50).reasons == ["50 new films with labels"]
    inverted = drift_reference.assign(mean=9 - drift_reference["mean"])
    drifted = replace(calm, comparisons=tuple(compare(drift_reference, inverted, params)))
    (reason,) = drifted.reasons
    assert reason.startswith("brightness drifted: mean from ")
