"""Checks before any training: does anything tell the label besides the picture of the chest?

A probe is a small classifier, cross-validated over patients: its AUROC is that of films from which
it did not learn. Where a source has too few patients for the folds, the check has no figure.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pneumo_core.arrays import Floats, Images
from pneumo_core.audit.shortcuts import Check, Cohort, estimate
from pneumo_core.data import manifest
from pneumo_core.data.film_statistics import NAMES, film_statistics
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics import intervals
from pneumo_core.metrics.estimates import difference, wilson_interval
from pneumo_core.metrics.influence import of_auroc
from pneumo_core.metrics.metrics import Estimate, Scores, auroc
from pneumo_core.params import AuditParams

NUM_FOLDS = 5

GEOMETRY = ("width_px", "height_px", "aspect")
METADATA = (*GEOMETRY, "colour_mode", "file_bytes", "bytes_per_pixel", "jpeg_quality")


def metadata_baseline(table: pd.DataFrame, limits: AuditParams) -> list[Check]:
    """Return how well the metadata of a file tell the label: all of them, and the geometry alone.

    The films are those kept in train and validation; test is not read.
    """
    kept = manifest.kept(table)
    kept = kept[kept["split"] != "test"]
    cohort = Cohort.of(kept)
    width, height, size = (kept[c].astype(float) for c in ("width_px", "height_px", "file_bytes"))
    columns = pd.DataFrame(
        {
            "width_px": width,
            "height_px": height,
            "aspect": width / height,
            "colour_mode": kept["colour_mode"].astype("category").cat.codes,
            "file_bytes": size,
            "bytes_per_pixel": size / (width * height),
            "jpeg_quality": kept["jpeg_quality"].fillna(-1).astype(float),  # -1: no JPEG
        }
    )

    def measure(used: tuple[str, ...]) -> tuple[Estimate, dict[str, Any]]:
        learner = HistGradientBoostingClassifier(random_state=limits.seed)
        scores = probe(learner, columns[list(used)].to_numpy(), cohort, limits.seed)
        return intervals.auroc(scores), {"columns": list(used), "num_films": len(kept)}

    return [
        Check(
            f"{name}_auroc",
            "data",
            f"AUROC of the {name} of the files, without a look at the picture",
            limits.max_metadata_auroc,
        ).measured(partial(measure, used))
        for name, used in (("metadata", METADATA), ("geometry", GEOMETRY))
    ]


def augmented_gain(
    before: Images, after: Images, cohort: Cohort, limits: AuditParams
) -> list[Check]:
    """Return how much augmentation adds to what simple statistics of a film tell of its label.

    Args:
        before: the film that each training film was made from, [N, H, W].
        after: the training films; a few thousand are enough.
    """
    raw, augmented = film_statistics(before), film_statistics(after)
    draws = cohort.draws(limits)

    def by_brightness(statistics: Floats) -> Scores:
        return cohort.scores(statistics[:, 0] / 255)

    def by_probe(statistics: Floats) -> Scores:
        return probe(linear_probe(), statistics, cohort, limits.seed)

    def gain(score: Callable[[Floats], Scores]) -> tuple[Estimate, dict[str, Any]]:
        pair = score(raw), score(augmented)
        detail = {"auroc_before": intervals.auroc(pair[0]), "auroc_after": intervals.auroc(pair[1])}
        return estimate(lambda weights_DN: _added(pair, weights_DN), draws), detail

    what = "What augmentation adds to how well {} tells the classes apart (distance from AUROC 0.5)"
    return [
        Check(
            "brightness_gain",
            "augmentation",
            what.format("mean brightness alone"),
            limits.max_brightness_gain,
        ).measured(partial(gain, by_brightness)),
        Check(
            "statistics_gain",
            "augmentation",
            what.format("a probe of levels, borders and sharpness"),
            limits.max_statistics_gain,
        ).measured(partial(gain, by_probe)),
        _altered_gap(before, after, cohort, limits),
    ]


def _altered_gap(before: Images, after: Images, cohort: Cohort, limits: AuditParams) -> Check:
    """The interval counts films, not patients: whether one is altered is drawn for each film."""
    altered = np.array([not np.array_equal(b, a) for b, a in zip(before, after, strict=True)])
    positive = cohort.labels == 1
    of_positive, of_negative = (
        wilson_interval(altered[films].mean(keepdims=True), films.sum())
        for films in (positive, ~positive)
    )
    return Check(
        "altered_gap",
        "augmentation",
        "Share of PNEUMONIA's training films that are altered, less that of NORMAL's",
        limits.max_altered_gap,
        difference(of_positive, of_negative, 0).figure(),
        two_sided=True,
        unit="%",
        detail={
            "PNEUMONIA": altered[positive].mean().item(),
            "NORMAL": altered[~positive].mean().item(),
        },
    )


def _added(pair: tuple[Scores, Scores], weights_DN: Floats) -> Floats:
    """Return by how much the second AUROC is farther from 0.5 than the first."""
    first, second = (np.abs(auroc(each, 0, weights_DN) - 0.5) for each in pair)
    added: Floats = second - first
    return added


def exchange_probe(
    before: Images,
    as_normal: Images,
    as_pneumonia: Images,
    patients: npt.NDArray[np.str_],
    limits: AuditParams,
) -> Check:
    """Return how well a probe tells which class's augmentation a film got: 0.5 if both are alike.

    Every film is augmented in both ways, and the probe sees how its statistics changed. Changes of
    films of two classes would tell of the chests too (what a crop removes, which corner a rotation
    makes black), and a fair recipe would look guilty. The probe also sees the size of each change,
    for ranges that differ in width only.
    """
    raw = film_statistics(before)
    change = np.concatenate([film_statistics(as_normal) - raw, film_statistics(as_pneumonia) - raw])
    treatment = Cohort(np.repeat([0, 1], len(before)), np.tile(patients, 2))

    def measure() -> tuple[Estimate, dict[str, Any]]:
        scores = probe(linear_probe(), np.c_[change, np.abs(change)], treatment, limits.seed)
        alone = {
            name: of_auroc(treatment.scores(_ranked(column))).value
            for name, column in zip(NAMES, change.T, strict=True)
        }
        strongest = max(alone, key=lambda name: abs(alone[name] - 0.5))
        detail = {"strongest_statistic": strongest, "its_auroc": alone[strongest]}
        return intervals.auroc(scores), detail

    return Check(
        "exchange_auroc",
        "augmentation",
        "AUROC of telling from a film's change which class's augmentation it got",
        limits.max_exchange_auroc,
    ).measured(measure)


def linear_probe() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def probe(learner: Any, features: Floats, cohort: Cohort, seed: int) -> Scores:
    """Return out-of-fold scores, as ranks within the fold since folds have offsets of their own.

    Raises:
        EvaluationError: too few patients of a class for the folds.
    """
    labels, patients = cohort.labels, cohort.patients
    num_patients = [len(set(patients[labels == label])) for label in (0, 1)]
    if min(num_patients) < NUM_FOLDS:
        raise EvaluationError(
            f"A probe needs {NUM_FOLDS} patients of each class, not {num_patients}."
        )
    folds = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    ranks = np.zeros(len(labels))
    for learnt, held in folds.split(features, labels, patients):
        if len(set(labels[learnt])) < 2:
            raise EvaluationError("The patients leave a fold of the probe with one class only.")
        learner.fit(features[learnt], labels[learnt])
        ranks[held] = _ranked(learner.predict_proba(features[held])[:, 1])
    return cohort.scores(ranks)


def _ranked(values: Floats) -> Floats:
    """Return ranks in 0..1, ties in the middle."""
    ranks: Floats = (rankdata(values) - 0.5) / len(values)
    return ranks
