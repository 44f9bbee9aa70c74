"""Recipes that give the label away are told from recipes that do not, on films that are alike."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pneumo_core.arrays import Gray, Images
from pneumo_core.audit.shortcut_probes import augmented_gain, exchange_probe, metadata_baseline
from pneumo_core.audit.shortcuts import Check, Cohort
from pneumo_core.data import manifest
from pneumo_core.labels import LABELS
from pneumo_core.params import AuditParams

pytestmark = pytest.mark.slow

LIMITS = AuditParams(num_draws=300)
NUM_FILMS = 240

Alter = Callable[[Gray, int, np.random.Generator], Gray]  # a film of a label


def brighten(pixels: Gray, by: float) -> Gray:
    return np.clip(pixels + np.rint(255 * by), 0, 255).astype(np.uint8)


def study(pixels: Gray, label: int, rng: np.random.Generator) -> Gray:
    return brighten(pixels, rng.uniform(0.05, 0.15) * (1 - 2 * label))


def honest(pixels: Gray, _: int, rng: np.random.Generator) -> Gray:
    cut = rng.integers(0, 12, 2)
    moved = np.zeros_like(pixels)
    moved[cut[0] :, cut[1] :] = pixels[: len(pixels) - cut[0], : len(pixels) - cut[1]]
    return brighten(moved, rng.uniform(-0.15, 0.15))


def unlike_widths(pixels: Gray, label: int, rng: np.random.Generator) -> Gray:
    return brighten(pixels, rng.uniform(-0.15, 0.15) * (1 - 0.6 * label))


def unlike_presence(pixels: Gray, label: int, rng: np.random.Generator) -> Gray:
    return pixels if rng.random() < (0.2, 0.8)[label] else honest(pixels, label, rng)


@pytest.fixture(scope="module")
def before(film: Callable[..., Gray]) -> Images:
    """The positive ones are a little brighter at their edge: what a film may rightly tell."""
    films = np.stack([film(seed, 32, 32) // 2 + 60 for seed in range(NUM_FILMS)])
    films[1::2, :, :4] += 20
    return films


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return Cohort(np.arange(NUM_FILMS) % 2, (np.arange(NUM_FILMS) // 4).astype(np.str_))


def _altered(films: Images, labels: Any, alter: Alter, seed: int) -> Images:
    rng = np.random.default_rng(seed)
    return np.stack([alter(p, label, rng) for p, label in zip(films, labels, strict=True)])


def _by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


@pytest.mark.parametrize(
    ("alter", "tripped"),
    [
        (study, {"brightness_gain", "exchange_auroc"}),
        (unlike_widths, {"exchange_auroc"}),
        (unlike_presence, {"altered_gap", "exchange_auroc"}),
        (honest, set()),
    ],
)
def test_leaking_recipes_trip_what_watches_for_them(
    before: Images, cohort: Cohort, alter: Alter, tripped: set[str]
) -> None:
    after = _altered(before, cohort.labels, alter, 1)
    checks = augmented_gain(before, after, cohort, LIMITS)
    roles = [_altered(before, np.full(NUM_FILMS, label), alter, 2 + label) for label in (0, 1)]
    checks.append(exchange_probe(before, *roles, cohort.patients, LIMITS))
    found = {check.name for check in checks if check.passed is False}
    assert found >= tripped
    assert tripped or not found


def test_gain_gives_both_sides_and_counts_altered_films(before: Images, cohort: Cohort) -> None:
    half = before.copy()
    half[np.arange(NUM_FILMS) % 4 == 1] += 1  # every second positive film
    found = _by_name(augmented_gain(before, half, cohort, LIMITS))
    assert found["altered_gap"].detail == {"PNEUMONIA": 0.5, "NORMAL": 0.0}
    same = _by_name(augmented_gain(before, before, cohort, LIMITS))
    for name in ("brightness_gain", "statistics_gain"):
        assert same[name].figure.value == same[name].figure.ci_high == 0
        assert same[name].detail["auroc_before"] == same[name].detail["auroc_after"]


def test_exchange_names_the_statistic_that_tells(before: Images, cohort: Cohort) -> None:
    roles = [brighten(before, by) for by in (0.1, -0.1)]
    check = exchange_probe(before, *roles, cohort.patients, LIMITS)
    assert check.detail == {"strongest_statistic": "mean", "its_auroc": 0.0}


def _table(make_table: Any, heights: Any, modes: Any) -> pd.DataFrame:
    def row(index: int) -> dict[str, object]:
        label = LABELS[index % 2]
        split = ("train", "val")[index % 5 == 0]
        return {
            "image_id": f"{split}/{label}/{index}.jpeg",
            "origin": "a test",
            "width_px": 200,
            "height_px": int(heights[index]),
            "colour_mode": modes[index],
            "jpeg_quality": None if index % 3 else 90,
        }

    return manifest.conform(make_table(map(row, range(len(heights)))))


def test_metadata_tell_what_they_tell(make_table: Any) -> None:
    rng = np.random.default_rng(0)
    heights, labels = rng.integers(100, 300, 300), np.arange(300) % 2
    gray = ["L"] * 300
    for given, metadata_passed, geometry_passed in (
        (_table(make_table, heights + 150 * labels, gray), False, False),
        (_table(make_table, heights, np.where(labels, "RGB", "L")), False, True),
        (_table(make_table, np.full(300, 200), gray), True, True),  # nothing varies
    ):
        found = _by_name(metadata_baseline(given, AuditParams(num_draws=300)))
        assert found["metadata_auroc"].passed is metadata_passed
        assert found["geometry_auroc"].passed in (geometry_passed, None)
    assert found["geometry_auroc"].figure.value == 0.5


def test_source_without_jpegs_has_metadata_too(make_table: Any) -> None:
    table = _table(make_table, np.arange(300) % 7 + 100, ["L"] * 300)
    table["jpeg_quality"] = pd.array([None] * 300, pd.Int32Dtype())
    assert len(metadata_baseline(table, LIMITS)) == 2


def test_metadata_of_test_films_are_not_read(make_table: Any) -> None:
    table = _table(make_table, np.arange(300), ["L"] * 300)
    table.loc[table["label"] == "NORMAL", "split"] = "test"
    for check in metadata_baseline(table, LIMITS):
        assert check.figure is None
        assert "not [0, " in check.reason


def test_too_few_patients_leave_a_probe_without_a_figure(before: Images) -> None:
    few = Cohort(np.arange(8) % 2, np.arange(8).astype(np.str_))
    found = _by_name(augmented_gain(before[:8], before[:8], few, LIMITS))
    found["exchange"] = exchange_probe(
        before[:4], before[:4], before[4:8], few.patients[:4], LIMITS
    )
    for name in ("statistics_gain", "exchange"):
        assert (found[name].figure, found[name].passed) == (None, None)
        assert "5 patients of each class, not [4, 4]" in found[name].reason
    assert found["brightness_gain"].figure is not None


def test_metadata_of_few_patients_have_no_figure(make_table: Any) -> None:
    table = _table(make_table, np.arange(8) + 100, ["L"] * 8)
    assert [check.figure for check in metadata_baseline(table, LIMITS)] == [None, None]


def test_few_films_do_not_prove_that_the_classes_are_altered_alike(before: Images) -> None:
    few = Cohort(np.arange(20) % 2, np.arange(20).astype(np.str_))
    check = _by_name(augmented_gain(before[:20], before[:20] + 1, few, LIMITS))["altered_gap"]
    assert (check.figure.value, check.passed) == (0, None)


def test_films_that_are_altered_alike_are_proved_so_however_few_their_patients(
    before: Images,
) -> None:
    num_films = 200
    films = np.concatenate([before] * (num_films // len(before) + 1))[:num_films]
    cohort = Cohort(np.arange(num_films) % 2, (np.arange(num_films) % 20).astype(np.str_))
    check = _by_name(augmented_gain(films, films, cohort, LIMITS))["altered_gap"]
    assert (check.figure.value, check.passed) == (0, True)
