"""Curves of readers whose weakness is known: one that reads brightness, one that reads a place."""

import numpy as np
import pytest
from scipy.special import expit

from pneumo_core.arrays import Floats, Images
from pneumo_core.audit.robustness import CURVES, curve_point, measure_robustness
from pneumo_core.audit.shortcuts import Cohort
from pneumo_core.evaluation.corruptions import CORRUPTIONS
from pneumo_core.metrics.metrics import Scores
from pneumo_core.params import AuditParams

PARAMS = AuditParams(num_draws=200)
SIDE_PX, NUM = 32, 40


@pytest.fixture(scope="module")
def films() -> Images:
    """Half of them have an opacity in the middle."""
    images = np.random.default_rng(0).integers(90, 110, (NUM, SIDE_PX, SIDE_PX), np.uint8)
    images[1::2, 8:24, 8:24] += 30
    return images


COHORT = Cohort(np.arange(NUM) % 2, np.arange(NUM).astype(np.str_))


def _by_contrast(images: Images) -> Floats:
    """The middle against the rim: no shift of brightness moves it."""
    middle = images[:, 8:24, 8:24].mean((1, 2))
    return np.asarray(expit((middle - images[:, :4].mean((1, 2)) - 15) / 5))


def _by_brightness(images: Images) -> Floats:
    return np.asarray(expit((images.mean((1, 2)) - 103) / 2))


def test_clean_figures_are_those_of_the_films_as_they_are(films: Images) -> None:
    found = measure_robustness(_by_contrast, films, COHORT, 0.5, PARAMS)
    assert (found["n"], found["n_positive"], found["threshold"]) == (NUM, NUM // 2, 0.5)
    assert {name: found["clean"][name]["value"] for name in CURVES} == dict.fromkeys(CURVES, 1.0)
    assert found["clean"]["sensitivity"]["ci_low"] == pytest.approx(0.839, abs=1e-3)  # 20 of 20
    assert list(found["corruptions"]) == list(CORRUPTIONS)
    for name, each in found["corruptions"].items():
        assert tuple(each["by_severity"]) == CORRUPTIONS[name].by_severity
        assert len(each["figures"]) == len(each["by_severity"])


def test_a_reader_of_brightness_breaks_where_brightness_changes(films: Images) -> None:
    found = measure_robustness(_by_brightness, films, COHORT, 0.5, PARAMS)["corruptions"]
    assert found["jpeg_compression"]["figures"][0]["accuracy"]["value"] == 1
    assert found["brightness_up"]["figures"][4]["specificity"]["value"] == 0
    assert found["brightness_down"]["figures"][4]["sensitivity"]["value"] == 0
    # All films move alike, so that their order, and with it the AUROC, stays.
    assert found["brightness_down"]["figures"][4]["auroc"]["value"] == pytest.approx(1, abs=0.01)


def test_the_same_films_give_the_same_curves(films: Images) -> None:
    first, again = (measure_robustness(_by_contrast, films, COHORT, 0.5, PARAMS) for _ in range(2))
    assert first == again


def test_films_of_a_patient_that_are_all_alike_count_once() -> None:
    """Three equal films of each patient prove no more than one."""
    scores = COHORT.scores(np.random.default_rng(0).uniform(size=NUM) * 0.7 + 0.3 * COHORT.labels)
    thrice = Scores(
        *(np.repeat(each, 3) for each in (scores.labels, scores.probabilities)),
        np.repeat(scores.patient_keys, 3),
    )
    once, again = curve_point(scores, 0.5), curve_point(thrice, 0.5)
    assert 0 < once["accuracy"].value < 1
    for name in CURVES:
        for end in ("value", "ci_low", "ci_high"):
            assert getattr(again[name], end) == pytest.approx(getattr(once[name], end), abs=2e-3)
