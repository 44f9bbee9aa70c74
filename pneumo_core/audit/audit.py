"""The shortcut audit of one run: the augmented training set and the models."""

from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.arrays import Images, Stack
from pneumo_core.audit.counterfactuals import audit_model, read_altered
from pneumo_core.audit.occlusion import measure_occlusion
from pneumo_core.audit.robustness import measure_robustness
from pneumo_core.audit.saliency_checks import check_saliency
from pneumo_core.audit.shortcut_probes import augmented_gain, exchange_probe
from pneumo_core.audit.shortcuts import Check, Cohort
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.labels import LABELS
from pneumo_core.params import AuditParams, AugmentParams
from pneumo_core.preparation.augmentation import AugmentedFilm, make_film, planned_films
from pneumo_core.preparation.recipes import Lint, chosen, lint_recipe


def lint(planned: pd.DataFrame, params: AugmentParams) -> Lint:
    """Return what is suspicious in the recipe in use; `planned` is the augmentation's plan."""
    of_label = planned.groupby("label")["image_id"]
    return lint_recipe(chosen(params), (of_label.size() / of_label.nunique()).to_dict())


def audit_augmentation(
    table: pd.DataFrame,
    images: Stack,
    planned: pd.DataFrame,
    augmented: Stack,
    augment: AugmentParams,
    params: AuditParams,
) -> list[Check]:
    """Return the checks of the augmented training set.

    Args:
        augmented: the training set, in the order of `planned`.
    """
    rng = np.random.default_rng(params.seed)
    rows = np.sort(rng.permutation(len(planned))[: params.num_augmented_films])
    drawn = planned.iloc[rows]
    patients = drawn["image_id"].map(table.set_index("image_id")["patient_group"])
    cohort = Cohort.of(drawn.assign(patient_group=patients))
    before = images[drawn["packed_row"].to_numpy(np.int64)]
    checks = augmented_gain(before, augmented[rows], cohort, params)
    once = np.sort(drawn.reset_index().drop_duplicates("image_id").index.to_numpy())
    treated = {
        label: _treated(images, drawn.iloc[once], label, planned, augment, rng) for label in LABELS
    }
    return [
        *checks,
        exchange_probe(
            before[once], treated["NORMAL"], treated["PNEUMONIA"], cohort.patients[once], params
        ),
    ]


def audit_cell(
    scorer: Scorer, threshold: float, films: pd.DataFrame, images: Stack, params: AuditParams
) -> list[Check]:
    """Return the checks of a finished model on films that it did not learn from."""
    drawn = films.sample(min(params.num_films, len(films)), random_state=params.seed)
    pixels, cohort = _read(images, drawn)
    return audit_model(
        read_altered(scorer.predict_probabilities, pixels, cohort, threshold), params
    )


def audit_winner(
    scorer: Scorer, threshold: float, films: pd.DataFrame, images: Stack, params: AuditParams
) -> dict[str, dict[str, Any] | None]:
    """Return the checks that would take too long for every cell, on as many films of each class.

    `saliency` is None where the model has no map.
    """
    corrupted, corrupted_cohort = _read(images, _evenly(films, params.num_corrupted_films, params))
    explained, explained_cohort = _read(images, _evenly(films, params.num_explained_films, params))
    predict = scorer.predict_probabilities
    robustness = measure_robustness(predict, corrupted, corrupted_cohort, threshold, params)
    try:
        saliency = check_saliency(scorer, explained, explained_cohort, params)
    except EvaluationError:
        saliency = None
    occlusion = measure_occlusion(predict, *_read(images, _evenly(films, params.num_films, params)))
    return {"robustness": robustness, "saliency": saliency, "occlusion": occlusion}


def _evenly(films: pd.DataFrame, num_films: int, params: AuditParams) -> pd.DataFrame:
    shuffled = films.sample(frac=1, random_state=params.seed)
    return shuffled.groupby("label").head(num_films // 2)


def _read(images: Stack, films: pd.DataFrame) -> tuple[Images, Cohort]:
    return images[films["packed_row"].to_numpy(np.int64)], Cohort.of(films)


def _treated(
    images: Stack,
    films: pd.DataFrame,
    label: str,
    planned: pd.DataFrame,
    augment: AugmentParams,
    rng: np.random.Generator,
) -> Images:
    """Return each film augmented as that class is, originals as often as the class has them."""
    numbers = rng.choice(planned.loc[planned["label"] == label, "number"].to_numpy(), len(films))
    return np.stack(
        [
            make_film(
                images, AugmentedFilm(label, row.pixel_sha256, row.packed_row, int(number)), augment
            )
            for row, number in zip(planned_films(films), numbers, strict=True)
        ]
    )
