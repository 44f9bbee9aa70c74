"""A comparison as files: one page that opens from disk, and its figures as JSON and CSV."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.arrays import Gray, Images, Stack
from pneumo_core.audit.counterfactuals import STUDY_SHIFT
from pneumo_core.data import manifest
from pneumo_core.data.transforms import LIMITS
from pneumo_core.experiments import contact_sheets
from pneumo_core.experiments.comparison import VALIDATION, VERSIONS, RecipeComparison, RecipeResult
from pneumo_core.experiments.trials import Setting, choose_films
from pneumo_core.experiments.verdict import decide
from pneumo_core.labels import LABELS
from pneumo_core.params import AugmentParams
from pneumo_core.preparation.augmentation import augment, plan
from pneumo_core.preparation.recipes import RECIPES
from pneumo_core.templating import environment

FIGURES = ("auroc", "balanced_accuracy", "accuracy", "sensitivity", "specificity")
NUM_HISTOGRAM_FILMS = 150  # of each class


@dataclass(frozen=True)
class Pictures:
    """Data URIs."""

    sheets: Mapping[str, str]  # by recipe
    histograms: Mapping[str, str]  # by recipe
    panels: Mapping[str, str]  # by parameter


def draw_pictures(images: Stack, table: pd.DataFrame, setting: Setting) -> Pictures:
    """Draw a training film of each class, and augmented films made as the trials make them."""
    seed = setting.seeds[0]
    films = {label: _a_film(images, table, label, seed) for label in LABELS}
    chosen = choose_films(table, NUM_HISTOGRAM_FILMS / setting.pipeline_size_per_class, seed)
    sheets: dict[str, str] = {}
    histograms: dict[str, str] = {}
    for recipe in setting.recipes:
        params = AugmentParams(seed=seed, recipe=recipe, size_per_class=NUM_HISTOGRAM_FILMS)
        planned = plan(chosen, params)
        before = np.asarray(images[planned["packed_row"].to_numpy(np.int64)])
        after = np.empty_like(before)
        augment(images, planned, params, after)
        by_class = [_by_class(each, planned) for each in (before, after)]
        histograms[recipe] = _uri(contact_sheets.histograms(*by_class))
        sheets[recipe] = _uri(contact_sheets.recipe_sheet(recipe, films, seed))
    panels = {
        parameter: _uri(contact_sheets.strength_panel(parameter, films))
        for parameter in contact_sheets.STRENGTHS
    }
    return Pictures(sheets, histograms, panels)


def _a_film(images: Stack, table: pd.DataFrame, label: str, seed: int) -> Gray:
    films = manifest.kept(table, "train")
    row = films[films["label"] == label].sample(1, random_state=seed)["packed_row"].iloc[0]
    return np.asarray(images[int(row)])


def _by_class(images: Images, planned: pd.DataFrame) -> dict[str, Images]:
    return {label: images[(planned["label"] == label).to_numpy()] for label in LABELS}


def _uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def as_json(comparison: RecipeComparison, setting: Setting) -> dict[str, Any]:
    found: dict[str, Any] = {
        "setting": {
            "cell": setting.cell.name,
            "size_per_class": setting.size_per_class,
            "seeds": list(setting.seeds),
            "split": "val",
            "brightness_shift": STUDY_SHIFT,
            "train": setting.train.model_dump(mode="json"),
        },
        "verdict": asdict(decide(comparison)),
    }
    return dict(found, **asdict(comparison))


def as_table(comparison: RecipeComparison) -> pd.DataFrame:
    """A row a recipe, best on validation first; the audit's columns come last."""
    return pd.DataFrame([_flat(row) for row in comparison.rows])


def _flat(row: RecipeResult) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "recipe": row.recipe,
        "differs_by_label": " ".join(row.differs_by_label),
    }
    for version in VERSIONS:
        judged = row.on[version]
        for name in FIGURES:
            figure = judged.figures[name]
            for part, value in (("", figure.value), ("_low", figure.ci_low)):
                flat[f"{version}_{name}{part}"] = value
            flat[f"{version}_{name}_high"] = figure.ci_high
        flat[f"{version}_auroc_seed_std"] = float(np.std(judged.auroc_by_seed))
        flat[f"{version}_auroc_to_best"] = judged.to_best.value if judged.to_best else 0.0
        flat[f"{version}_holm_p"] = judged.to_best.p if judged.to_best else None
        flat[f"{version}_tied_with_best"] = judged.tied_with_best
    flat["fall"] = row.fall.value
    return flat | row.shortcuts


def render(comparison: RecipeComparison, setting: Setting, pictures: Pictures) -> str:
    return (
        environment()
        .get_template("augmentation.html.j2")
        .render(
            comparison=comparison,
            setting=setting,
            verdict=decide(comparison),
            recipes=RECIPES,
            limits=vars(LIMITS),
            pictures=pictures,
            shift=STUDY_SHIFT,
            validation=VALIDATION,
            shortcuts=sorted({name for row in comparison.rows for name in row.shortcuts}),
        )
    )
