"""Which recipe is best, and what a recipe that follows the label costs. No test film is read.

Every model is judged on three versions of validation:
- `validation`: the films as they are;
- `swapped`: each film with the brightness that the study gives the other class;
- `aligned`: each with its own class's, as in the study's training. The control: a model that
  merely dislikes altered films falls on both, one that reads brightness rises here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_core.arrays import Floats, Images, Stack
from pneumo_core.audit.counterfactuals import STUDY_SHIFT
from pneumo_core.data import manifest
from pneumo_core.data.transforms import Ranges, transform
from pneumo_core.experiments.trials import BASELINE, THRESHOLD, Setting, Trial, run_trials
from pneumo_core.metrics.differences import Difference
from pneumo_core.metrics.metrics import (
    Estimate,
    Scores,
    auroc,
    patient_weights,
    percentile_interval,
)
from pneumo_core.metrics.paired import adjusted
from pneumo_core.preparation.recipes import RECIPES, Recipe
from pneumo_core.progress import track

VALIDATION, SWAPPED, ALIGNED = VERSIONS = ("validation", "swapped", "aligned")
FALL = "fall"  # AUROC on validation less that on swapped
ALPHA = 0.05  # of Holm's p: above it two recipes are tied

# The study's recipes, and what does the same without the label.
COUNTERPARTS = {
    "study_brightness": (BASELINE, "brightness", "symmetric"),
    "study_brightness_rotation": (BASELINE, "rotation", "symmetric"),
}

Audit = Callable[[Trial], Mapping[str, float]]


@dataclass(frozen=True)
class Judged:
    """One recipe on one version of validation; probabilities are means over the seeds."""

    figures: dict[str, Estimate]
    auroc_by_seed: tuple[float, ...]
    to_best: Difference | None  # AUROC less that of the best; None: it is the best
    tied_with_best: bool


@dataclass(frozen=True)
class RecipeResult:
    recipe: str
    differs_by_label: tuple[str, ...]
    keeps_originals: bool
    on: dict[str, Judged]  # by version
    fall: Difference
    shortcuts: dict[str, float] = field(default_factory=dict)  # what the audit found


@dataclass(frozen=True)
class Pair:
    of: str  # a version, whose AUROC is compared, or FALL
    recipe: str
    other: str
    difference: Difference  # the recipe's less the other's


@dataclass(frozen=True)
class RecipeComparison:
    rows: tuple[RecipeResult, ...]  # best on validation first
    pairs: tuple[Pair, ...]  # the study's recipes against their counterparts


def compare(
    images: Stack,
    table: pd.DataFrame,
    setting: Setting,
    scratch: Path,
    num_draws: int = 2000,
    audit: Audit | None = None,
) -> RecipeComparison:
    """Trains all trials and judges them; `audit` gives columns of its own, from the first seed.

    Args:
        images: row `packed_row` of the manifest `table`, as after the split stage.
    """
    val = manifest.kept(table, "val")
    labels = manifest.label_indices(val).to_numpy(np.int64)
    films = np.asarray(images[val["packed_row"].to_numpy(np.int64)])
    versions = {name: shifted(films, labels, name) for name in VERSIONS}
    predictions: dict[str, dict[str, list[Floats]]] = {}
    shortcuts: dict[str, dict[str, float]] = {}
    trials = run_trials(images, table, setting, scratch)
    for trial in track(trials, "compare", setting.num_trials, "training"):
        by_version = predictions.setdefault(trial.recipe, {name: [] for name in VERSIONS})
        for name, version in versions.items():
            by_version[name].append(trial.score(version))
        if audit and trial.seed == setting.seeds[0]:
            shortcuts[trial.recipe] = dict(audit(trial))
    patients = val["patient_key"].to_numpy(np.str_)
    return judge(labels, patients, predictions, shortcuts, num_draws)


def shifted(films: Images, labels: np.ndarray, version: str) -> Images:
    """A version of validation; `labels` are 1 for PNEUMONIA."""
    if version == VALIDATION:
        return films
    sign = 1 if version == SWAPPED else -1
    rng = np.random.default_rng(0)  # nothing is left to chance: the ranges are points
    by_label = [
        Ranges(brightness=(shift, shift)) for shift in (-sign * STUDY_SHIFT, sign * STUDY_SHIFT)
    ]
    rows = [transform(film, by_label[y], rng) for film, y in zip(films, labels, strict=True)]
    return np.stack(rows)


def judge(
    labels: np.ndarray,
    patients: np.ndarray,
    predictions: Mapping[str, Mapping[str, list[Floats]]],
    shortcuts: Mapping[str, dict[str, float]],
    num_draws: int,
) -> RecipeComparison:
    """Judge probabilities [N] by recipe, version and seed."""
    by_seed = {
        version: {
            recipe: [Scores(labels, p, patients) for p in by_version[version]]
            for recipe, by_version in predictions.items()
        }
        for version in VERSIONS
    }
    some = next(iter(by_seed[VALIDATION].values()))[0]
    # The whole set first, then the draws of patients, the same ones for all recipes.
    weights_DN = np.vstack([np.ones(len(labels)), patient_weights(some, num_draws, seed=0)])
    aurocs, judged = {}, {}
    for version, of_version in by_seed.items():
        aurocs[version], judged[version] = _judge_version(of_version, weights_DN)
    falls = {recipe: aurocs[VALIDATION][recipe] - aurocs[SWAPPED][recipe] for recipe in predictions}
    recipes: dict[str, Recipe] = {str(name): recipe for name, recipe in RECIPES.items()}
    rows = [
        RecipeResult(
            recipe,
            recipes[recipe].differs_by_label() if recipe in recipes else (),
            recipe not in recipes or recipes[recipe].keeps_originals,
            {version: judged[version][recipe] for version in VERSIONS},
            Difference.of(float(falls[recipe][0]), falls[recipe][1:]),
            shortcuts.get(recipe, {}),
        )
        for recipe in predictions
    ]
    rows.sort(key=lambda row: -row.on[VALIDATION].figures["auroc"].value)
    pairs = [pair for compared in (aurocs | {FALL: falls}).items() for pair in _pairs(*compared)]
    return RecipeComparison(tuple(rows), tuple(pairs))


def _judge_version(
    by_seed: Mapping[str, list[Scores]], weights_DN: Floats
) -> tuple[dict[str, Floats], dict[str, Judged]]:
    """Each recipe's AUROC under all weights, and what is said of it."""
    means = {
        recipe: replace(seeds[0], probabilities=np.mean([s.probabilities for s in seeds], axis=0))
        for recipe, seeds in by_seed.items()
    }
    aurocs = {recipe: auroc(scores, THRESHOLD, weights_DN) for recipe, scores in means.items()}
    to_best = _against_best(aurocs)
    judged = {
        recipe: Judged(
            _figures(scores, aurocs[recipe], weights_DN),
            tuple(float(auroc(s, THRESHOLD, weights_DN[:1])[0]) for s in by_seed[recipe]),
            to_best.get(recipe),
            tied_with_best=recipe not in to_best or to_best[recipe].p >= ALPHA,
        )
        for recipe, scores in means.items()
    }
    return aurocs, judged


def _difference(of_D: Floats, other_D: Floats) -> Difference:
    """Return the difference of two statistics whose first value is that of the whole set."""
    draws_D = of_D - other_D
    return Difference.of(float(draws_D[0]), draws_D[1:])


def _against_best(aurocs: Mapping[str, Floats]) -> dict[str, Difference]:
    """Every recipe but the best, which Holm's correction counts."""
    best = max(aurocs, key=lambda recipe: aurocs[recipe][0])
    others = [recipe for recipe in aurocs if recipe != best]
    differences = [_difference(aurocs[recipe], aurocs[best]) for recipe in others]
    return dict(zip(others, adjusted(differences), strict=True))


def _pairs(of: str, values: Mapping[str, Floats]) -> list[Pair]:
    names = [
        (recipe, other)
        for recipe, others in COUNTERPARTS.items()
        for other in others
        if recipe in values and other in values
    ]
    differences = [_difference(values[recipe], values[other]) for recipe, other in names]
    return [Pair(of, *pair, d) for pair, d in zip(names, adjusted(differences), strict=True)]


def _figures(scores: Scores, auroc_D: Floats, weights_DN: Floats) -> dict[str, Estimate]:
    positive = scores.labels == 1
    right = (scores.probabilities >= THRESHOLD) == positive
    sensitivity_D = weights_DN @ (right & positive) / (weights_DN @ positive)
    specificity_D = weights_DN @ (right & ~positive) / (weights_DN @ ~positive)
    statistics = {
        "auroc": auroc_D,
        "balanced_accuracy": (sensitivity_D + specificity_D) / 2,
        "accuracy": weights_DN @ right / weights_DN.sum(1),
        "sensitivity": sensitivity_D,
        "specificity": specificity_D,
    }
    return {
        name: Estimate(float(values[0]), *percentile_interval(values[1:]))
        for name, values in statistics.items()
    }
