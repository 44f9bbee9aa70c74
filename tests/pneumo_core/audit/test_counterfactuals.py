"""Positive control: a model taught by a leak trips the checks, one taught without does not.

The model is a logistic regression on coarse pixels of phantom films: it sees opacities, and
brightness if that is what pays.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumo_core.arrays import Floats, Images
from pneumo_core.audit.counterfactuals import (
    CALIPER,
    SHIFTS,
    Readings,
    audit_model,
    brightness_sweep,
    match_pairs,
    mean_matched,
    read_altered,
    shift,
    swapped_test,
)
from pneumo_core.audit.shortcuts import Check, Cohort, Predict, estimate
from pneumo_core.data.images import resize
from pneumo_core.metrics.metrics import auroc, balanced_accuracy
from pneumo_core.params import AuditParams
from pneumo_core.sources.phantom_film import draw_film

pytestmark = pytest.mark.slow

LIMITS = AuditParams(num_draws=500)
SIZE_PX, CELL_PX = 64, 4


def _phantoms(count: int, seed: int) -> Images:
    """Every second film has pneumonia."""
    return np.stack(
        [
            resize(
                draw_film(
                    np.random.default_rng([seed, i, 0]),
                    np.random.default_rng([seed, i, 1]),
                    (None, "bacteria")[i % 2],
                ),
                SIZE_PX,
            )
            for i in range(count)
        ]
    )


@pytest.fixture(scope="module")
def train_films() -> Images:
    return _phantoms(500, 1)


@pytest.fixture(scope="module")
def val_films() -> Images:
    return _phantoms(300, 2)


def _labels(films: Images) -> np.ndarray:
    return np.arange(len(films)) % 2


def _cohort(films: Images) -> Cohort:
    return Cohort(_labels(films), np.arange(len(films)).astype(np.str_))


def _teach(films: Images) -> Predict:
    def features(images: Images) -> Floats:
        cells = SIZE_PX // CELL_PX
        blocks = images.reshape(len(images), cells, CELL_PX, cells, CELL_PX)
        return blocks.mean((2, 4)).reshape(len(images), -1) / 255

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=3000))
    model.fit(features(films), _labels(films))
    return lambda images: model.predict_proba(features(images))[:, 1]


def _copies(films: Images, draw: Callable[[np.random.Generator, np.ndarray], Floats]) -> Images:
    rng = np.random.default_rng(3)
    return np.concatenate([shift(films, draw(rng, _labels(films))) for _ in range(3)])


def _leaky(rng: np.random.Generator, labels: np.ndarray) -> Floats:
    return rng.uniform(0.05, 0.15, len(labels)) * (1 - 2 * labels)


def _symmetric(rng: np.random.Generator, labels: np.ndarray) -> Floats:
    return rng.uniform(-0.15, 0.15, len(labels))


def _by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_model_taught_by_the_leak_trips_the_checks(train_films: Images, val_films: Images) -> None:
    score = _teach(_copies(train_films, _leaky))
    readings = read_altered(score, val_films, _cohort(val_films), 0.5)
    found = _by_name(audit_model(readings, LIMITS))
    failed = {name for name, check in found.items() if check.passed is False}
    assert failed >= {"flip_rate", "brightness_slope", "swap_gap_auroc"}
    assert failed >= {"swap_gap_balanced_accuracy", "levelled_drop"}
    assert found["brightness_slope"].detail["brighter_reads_as"] == "NORMAL"
    assert found["swap_gap_auroc"].figure.value > 0.5
    assert found["levelled_drop"].figure.value < 0  # brightness did nothing but disturb it


def test_model_taught_without_the_leak_trips_none(train_films: Images, val_films: Images) -> None:
    score = _teach(_copies(train_films, _symmetric))
    readings = read_altered(score, val_films, _cohort(val_films), 0.5)
    found = _by_name(audit_model(readings, LIMITS))
    assert found["swap_gap_auroc"].detail["unaltered"].value > 0.9
    assert [check.explain() for check in found.values() if check.passed is False] == []
    assert found["brightness_slope"].passed


def test_model_that_leans_on_the_films_own_brightness_loses_it_when_matched(
    train_films: Images, val_films: Images
) -> None:
    def natural(films: Images) -> Images:
        return shift(films, 0.08 * _labels(films))

    films = natural(val_films)
    readings = read_altered(_teach(natural(train_films)), films, _cohort(films), 0.5)
    found = _by_name(mean_matched(readings, LIMITS) + brightness_sweep(readings, LIMITS))
    assert found["paired_drop"].passed is False
    assert found["paired_drop"].figure.value > 0
    assert found["brightness_slope"].detail["brighter_reads_as"] == "PNEUMONIA"
    alone = found["paired_drop"].detail
    assert alone["brightness_alone"].value > 0.8
    assert abs(alone["brightness_alone_paired"].value - 0.5) < 0.05


def _readings(score: Predict, films: Images) -> Readings:
    return read_altered(score, films, _cohort(films), 0.5)


def test_slope_of_a_model_that_reads_brightness_alone_is_the_one_it_has() -> None:
    films = (
        np.full((40, 8, 8), 1, np.uint8) * np.linspace(90, 160, 40).astype(np.uint8)[:, None, None]
    )

    def score(images: Images) -> Floats:
        return expit(-30 * (images.mean((1, 2)) / 255 - 0.5))

    sweep = _by_name(brightness_sweep(_readings(score, films), LIMITS))
    assert sweep["brightness_slope"].figure.value == pytest.approx(-3, abs=0.05)
    flips = sweep["flip_rate"].detail["by_shift"]
    assert list(flips) == [f"{by:+.2f}" for by in SHIFTS]
    away = (films.mean((1, 2)) / 255 - 0.5)[:, None]
    turned = ((away + np.array([-0.1, 0.1])) > 0) != (away > 0)
    assert sweep["flip_rate"].figure.value == pytest.approx(turned.mean(), abs=0.03)
    levelled = mean_matched(_readings(score, films), LIMITS)[0]
    assert levelled.detail["levelled"].value == pytest.approx(0.5, abs=0.15)


def test_model_that_ignores_brightness_has_no_gap_at_all() -> None:
    films = np.random.default_rng(0).integers(60, 190, (60, 8, 8), dtype=np.uint8)

    def score(images: Images) -> Floats:
        return expit((images[:, 0, 0].astype(float) - images[:, 1, 1]) / 50)

    readings = _readings(score, films)
    for check in brightness_sweep(readings, LIMITS) + swapped_test(readings, LIMITS):
        assert check.figure.value == pytest.approx(0, abs=1e-12)
        assert check.passed is not False


def test_certain_probabilities_give_a_finite_slope() -> None:
    films = np.zeros((20, 4, 4), np.uint8)
    readings = _readings(lambda images: np.where(images.mean((1, 2)) > 20, 1.0, 0.0), films)
    slope = brightness_sweep(readings, LIMITS)[1].figure.value
    assert 0 < slope < 2 * logit(1 - 1e-12)


def test_shift_merges_no_levels_and_clips() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    for by in SHIFTS:
        moved = shift(levels, np.array([by])).ravel().astype(int) - levels.ravel()
        inside = (levels.ravel() + moved > 0) & (levels.ravel() + moved < 255)
        assert set(moved[inside]) == {round(255 * by)}
    assert shift(levels, np.array([0.2])).max() == 255


def test_pairs_are_alike_and_as_many_as_there_can_be() -> None:
    brightness = np.array([0.500, 0.504, 0.300, 0.509, 0.495, 0.311])
    labels = np.array([0, 0, 0, 1, 1, 1])
    assert match_pairs(brightness, labels).tolist() == [True, True, False, True, True, False]
    rng = np.random.default_rng(0)
    brightness, labels = rng.uniform(size=400), rng.integers(0, 2, 400)
    paired = match_pairs(brightness, labels)
    negative, positive = (np.sort(brightness[paired & (labels == label)]) for label in (0, 1))
    assert len(negative) == len(positive) > 100
    assert (abs(negative - positive) <= CALIPER).all()


def test_classes_that_share_no_brightness_leave_one_check_without_a_figure() -> None:
    films = np.stack([np.full((4, 4), 50 + 100 * (i % 2), np.uint8) for i in range(20)])
    readings = _readings(lambda images: images.mean((1, 2)) / 255, films)
    found = _by_name(audit_model(readings, LIMITS))
    assert len(found) == 6
    paired = found.pop("paired_drop")
    assert paired.figure is None
    assert paired.passed is None
    assert "Only 0 pairs" in paired.explain()
    assert all(check.figure is not None for check in found.values())


def test_few_films_that_never_flip_do_not_prove_the_limit() -> None:
    films = np.stack([np.full((4, 4), 50 + 100 * (i % 2), np.uint8) for i in range(20)])
    readings = _readings(lambda images: (images[:, 0, 0] >= images[:, 1, 1]) * 0.9, films)
    found = _by_name(audit_model(readings, LIMITS))
    assert (found["flip_rate"].figure.value, found["flip_rate"].passed) == (0, None)
    assert found["flip_rate"].figure.ci_high == pytest.approx(0.161, abs=1e-3)  # Wilson's, 0 of 20
    for name in ("swap_gap_balanced_accuracy", "swap_gap_auroc", "levelled_drop"):
        figure = found[name].figure
        assert figure.ci_low < figure.value < figure.ci_high, name


def test_interval_of_a_gap_agrees_with_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    cohort = Cohort(np.arange(200) % 2, (np.arange(200) // 2 % 60).astype(np.str_))
    readings = Readings(
        cohort,
        0.5,
        rng.uniform(0.4, 0.6, 200),
        expit(rng.normal(size=200) + cohort.labels),
        {by: expit(rng.normal(size=200) + cohort.labels) for by in SHIFTS},
        expit(rng.normal(size=200) + cohort.labels),
    )
    own = readings.scores(np.where(cohort.labels, readings.shifted[-0.1], readings.shifted[0.1]))
    swap = readings.scores(np.where(cohort.labels, readings.shifted[0.1], readings.shifted[-0.1]))
    draws = cohort.draws(LIMITS)
    found = _by_name(swapped_test(readings, LIMITS))
    for name, statistic in (("auroc", auroc), ("balanced_accuracy", balanced_accuracy)):
        expected = estimate(lambda w, of=statistic: of(own, 0.5, w) - of(swap, 0.5, w), draws)
        figure = found[f"swap_gap_{name}"].figure
        assert figure.value == pytest.approx(expected.value)
        assert figure.ci_low == pytest.approx(expected.ci_low, abs=0.025)
        assert figure.ci_high == pytest.approx(expected.ci_high, abs=0.025)
    paired = match_pairs(readings.brightness, cohort.labels)
    plain = readings.scores()
    expected = estimate(lambda w: auroc(plain, 0, w) - auroc(plain, 0, w * paired), draws)
    figure = _by_name(mean_matched(readings, LIMITS))["paired_drop"].figure
    assert figure.value == pytest.approx(expected.value)
    assert figure.ci_low == pytest.approx(expected.ci_low, abs=0.025)
    assert figure.ci_high == pytest.approx(expected.ci_high, abs=0.025)
