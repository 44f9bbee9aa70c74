"""Figures and verdict from probabilities whose truth is known."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo_core.arrays import Gray, Images
from pneumo_core.audit.counterfactuals import STUDY_SHIFT
from pneumo_core.experiments import comparison
from pneumo_core.experiments.comparison import (
    ALIGNED,
    FALL,
    SWAPPED,
    VALIDATION,
    VERSIONS,
    RecipeComparison,
    RecipeResult,
    compare,
    judge,
    shifted,
)
from pneumo_core.experiments.comparison_page import as_json, as_table, draw_pictures, render
from pneumo_core.experiments.trials import BASELINE, Setting, Trial
from pneumo_core.experiments.verdict import Outcome, decide
from pneumo_core.params import Params, Strategy
from pneumo_core.training.context import Cell
from pneumo_core.training.training import LabelledFilms

pytestmark = pytest.mark.slow

NUM_FILMS, NUM_SEEDS = 400, 3
LABELS = np.arange(NUM_FILMS) % 2
PATIENTS = np.array([f"p{i // 4}-{i % 2}" for i in range(NUM_FILMS)])

Skill = Mapping[str, float]  # by version: distance between the classes in standard deviations


def _compared(**skill_of: Skill) -> RecipeComparison:
    """Every recipe's noise is the same but for a little, as that of models on the same films."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=NUM_FILMS)
    predictions = {
        recipe: {
            version: [
                1 / (1 + np.exp(-(skill.get(version, skill[VALIDATION]) * (LABELS - 0.5) + noise)))
                for noise in shared + rng.normal(scale=0.1, size=(NUM_SEEDS, NUM_FILMS))
            ]
            for version in VERSIONS
        }
        for recipe, skill in skill_of.items()
    }
    return judge(LABELS, PATIENTS, predictions, {BASELINE: {"probe_auroc": 0.5}}, num_draws=500)


def _row(comparison: RecipeComparison, recipe: str) -> RecipeResult:
    return next(row for row in comparison.rows if row.recipe == recipe)


@pytest.fixture(scope="module")
def leaky() -> RecipeComparison:
    """The study's recipe is best on validation and lost where brightness is exchanged."""
    return _compared(
        none={VALIDATION: 2.0},
        brightness={VALIDATION: 2.5},
        symmetric={VALIDATION: 2.5},
        study_brightness={VALIDATION: 4.0, SWAPPED: 0.5, ALIGNED: 6.0},
    )


def test_rows_stand_in_the_order_of_validation(leaky: RecipeComparison) -> None:
    assert leaky.rows[0].recipe == "study_brightness"
    assert leaky.rows[-1].recipe == "none"
    assert leaky.rows[0].on[VALIDATION].to_best is None
    assert not any(row.on[VALIDATION].tied_with_best for row in leaky.rows[1:])


def test_figures_are_those_of_the_mean_over_the_seeds(leaky: RecipeComparison) -> None:
    judged = _row(leaky, "brightness").on[VALIDATION]
    assert set(judged.figures) == {
        "auroc",
        "balanced_accuracy",
        "accuracy",
        "sensitivity",
        "specificity",
    }
    assert len(judged.auroc_by_seed) == NUM_SEEDS
    for figure in judged.figures.values():
        assert figure.ci_low < figure.value < figure.ci_high
    balanced = judged.figures["balanced_accuracy"].value
    each = judged.figures["sensitivity"].value + judged.figures["specificity"].value
    assert balanced == pytest.approx(each / 2)
    assert judged.figures["accuracy"].value == pytest.approx(balanced)  # classes of one size


def test_the_shortcut_is_found_where_brightness_is_exchanged(leaky: RecipeComparison) -> None:
    study = _row(leaky, "study_brightness")
    assert study.differs_by_label == ("brightness",)
    assert study.fall.ci_low > 0.1
    assert abs(_row(leaky, "brightness").fall.value) < 0.02
    excess = {pair.other: pair.difference for pair in leaky.pairs if pair.of == FALL}
    assert excess.keys() == {"none", "brightness", "symmetric"}
    assert all(difference.p < 0.05 for difference in excess.values())


def test_verdict_on_a_leak_says_holds_there_and_not_here(leaky: RecipeComparison) -> None:
    verdict = decide(leaky)
    assert (verdict.on_validation, verdict.on_swapped) == (Outcome.HOLDS, Outcome.FAILS)
    assert "Not recommended" in verdict.sentences[-1]


def test_verdict_on_equals_is_that_nothing_can_be_told() -> None:
    equal = {VALIDATION: 3.0}
    verdict = decide(
        _compared(none=equal, brightness=equal, symmetric=equal, study_brightness=equal)
    )
    assert (verdict.on_validation, verdict.on_swapped) == (Outcome.TIED, Outcome.TIED)
    assert "neither confirm" in verdict.sentences[-1]
    assert "3 of the 3 others are tied" in verdict.sentences[0]


def test_verdict_on_a_recipe_that_truly_helps_is_in_its_favour() -> None:
    worse = {VALIDATION: 1.0}
    verdict = decide(
        _compared(none=worse, brightness=worse, symmetric=worse, study_brightness={VALIDATION: 3.0})
    )
    assert (verdict.on_validation, verdict.on_swapped) == (Outcome.HOLDS, Outcome.HOLDS)
    assert "confirm" in verdict.sentences[-1]


def test_verdict_on_a_recipe_that_is_worse() -> None:
    good = {VALIDATION: 3.0}
    verdict = decide(
        _compared(none=good, brightness=good, symmetric=good, study_brightness={VALIDATION: 1.0})
    )
    assert verdict.on_validation is Outcome.FAILS


def test_swapped_films_have_the_other_class_s_brightness() -> None:
    gray = np.full((2, 8, 8), 100, np.uint8)
    labels = np.array([0, 1])
    step = round(255 * STUDY_SHIFT)
    assert shifted(gray, labels, SWAPPED)[:, 0, 0] == pytest.approx([100 - step, 100 + step], abs=1)
    assert shifted(gray, labels, ALIGNED)[:, 0, 0] == pytest.approx([100 + step, 100 - step], abs=1)
    assert shifted(gray, labels, VALIDATION) is gray


@pytest.fixture(scope="module")
def setting(params_with: Callable[..., Params]) -> Setting:
    cell = Cell("test_efficientnet", Strategy.FROZEN)
    return Setting(cell, params_with().train, 40, 20, (0, 1, 2), ("brightness", "study_brightness"))


def test_files_hold_every_recipe_and_what_the_audit_found(
    leaky: RecipeComparison, setting: Setting
) -> None:
    content = json.loads(json.dumps(as_json(leaky, setting), allow_nan=False))
    assert content["setting"]["split"] == "val"
    assert content["verdict"]["on_swapped"] == "does not hold"
    assert len(content["rows"]) == 4
    table = as_table(leaky)
    assert list(table["recipe"]) == [row.recipe for row in leaky.rows]
    assert table.set_index("recipe").loc["none", "probe_auroc"] == 0.5


def test_the_page_needs_nothing_else(
    leaky: RecipeComparison,
    setting: Setting,
    film: Callable[..., Gray],
    make_table: Callable[..., pd.DataFrame],
) -> None:
    rows = [f"train/{label}/{i}.png" for label in ("NORMAL", "PNEUMONIA") for i in range(8)]
    table = make_table(rows)
    images = np.stack([film(seed, 32, 32) for seed in range(len(table))])
    pictures = draw_pictures(images, table, setting)
    assert list(pictures.sheets) == list(setting.recipes)
    page = render(leaky, setting, pictures)
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<img ") == 2 * len(setting.recipes) + 3
    assert "probe_auroc" in page
    for row in leaky.rows:
        assert row.recipe in page
    assert render(leaky, setting, draw_pictures(images, table, setting)) == page


def test_compare_shows_each_model_the_versions_of_validation_and_the_audit_its_first_seed(
    monkeypatch: pytest.MonkeyPatch,
    setting: Setting,
    film: Callable[..., Gray],
    make_table: Callable[..., pd.DataFrame],
    tmp_path: Path,
) -> None:
    rows = [f"val/{label}/{i}.png" for label in ("NORMAL", "PNEUMONIA") for i in range(15)]
    table = make_table(rows)
    images = np.stack([film(seed, 16, 16) // 2 + 60 for seed in range(len(table))])
    films = LabelledFilms(images, np.zeros(len(images), np.int64))
    patients = np.array(["p"] * len(images))

    def brightness(shown: Images) -> np.ndarray:
        """A model that calls dark films positive, as the study's augmentation teaches."""
        mean: np.ndarray = 1 - shown.mean((1, 2)) / 255
        return mean

    trials = [
        Trial(recipe, seed, images, films, patients, brightness)
        for seed in setting.seeds
        for recipe in (BASELINE, "study_brightness", "brightness")
    ]
    monkeypatch.setattr(comparison, "run_trials", lambda *_: iter(trials))
    audited: list[Trial] = []

    def audit(trial: Trial) -> dict[str, float]:
        audited.append(trial)
        return {"mean": 0.25}

    found = compare(images, table, setting, tmp_path, num_draws=100, audit=audit)
    for row in found.rows:
        assert row.on[ALIGNED].figures["auroc"].value > 0.95
        assert row.on[SWAPPED].figures["auroc"].value < 0.05
        assert row.shortcuts == {"mean": 0.25}
    assert audited == trials[:3]
