"""Checks before any training: what tells the label besides the picture of the chest.

Probes are cross-validated over patients and their figures are of films that they did not learn
from, so an AUROC needs no sign: a cue that is turned round tells as much.
"""

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

from pneumo_core.arrays import Bools, Floats, Images
from pneumo_core.audit.shortcuts import Check, Cohort, estimate
from pneumo_core.data import manifest
from pneumo_core.data.film_statistics import NAMES, film_statistics
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.metrics import Estimate, Scores, auroc
from pneumo_core.params import AuditParams

NUM_FOLDS = 5

GEOMETRY = ("width_px", "height_px", "aspect")
METADATA = (*GEOMETRY, "colour_mode", "file_bytes", "bytes_per_pixel", "jpeg_quality")


def metadata_baseline(table: pd.DataFrame, limits: AuditParams) -> list[Check]:
    """What the files tell without a look at the picture: all of it, and the geometry alone.

    Of the films kept in train and val; test is not read.
    """
    kept = manifest.kept(table)
    kept = kept[kept["split"] != "test"]
    cohort = Cohort(
        manifest.label_indices(kept).to_numpy(np.int64),
        kept["patient_group"].to_numpy(np.str_),
    )
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
    draws = cohort.draws(limits)
    checks = []
    for name, used in (("metadata", METADATA), ("geometry", GEOMETRY)):
        learner = HistGradientBoostingClassifier(random_state=limits.seed)
        scores = _probe(learner, columns[list(used)].to_numpy(), cohort, limits.seed)
        checks.append(
            Check(
                f"{name}_auroc",
                "data",
                f"AUROC of the {name} of the files, without a look at the picture",
                _auroc_figure(scores, draws),
                limits.max_metadata_auroc,
                detail={"columns": list(used), "num_films": len(kept)},
            )
        )
    return checks


def augmented_gain(
    before: Images, after: Images, cohort: Cohort, limits: AuditParams
) -> list[Check]:
    """What augmentation adds to what crude statistics of a film tell of its label.

    Args:
        before: the film that each training film was made from, [N, H, W].
        after: the training films; a few thousand are enough.
    """
    raw, augmented = film_statistics(before), film_statistics(after)
    draws = cohort.draws(limits)

    def gain(name: str, cue: str, pair: tuple[Scores, Scores], limit: float) -> Check:
        what = f"What augmentation adds to how well {cue} tells the classes apart"
        before_after = {
            f"auroc_{when}": _auroc_figure(scores, draws)
            for when, scores in zip(("before", "after"), pair, strict=True)
        }
        return Check(
            f"{name}_gain",
            "augmentation",
            f"{what} (distance of the AUROC from 0.5)",
            estimate(lambda weights_DN: _added(pair, weights_DN), draws),
            limit,
            detail=before_after,
        )

    return [
        gain(
            "brightness",
            "mean brightness alone",
            (cohort.scores(raw[:, 0] / 255), cohort.scores(augmented[:, 0] / 255)),
            limits.max_brightness_gain,
        ),
        gain(
            "statistics",
            "a probe of levels, borders and sharpness",
            (
                _probe(_linear(), raw, cohort, limits.seed),
                _probe(_linear(), augmented, cohort, limits.seed),
            ),
            limits.max_statistics_gain,
        ),
        _altered_gap(before, after, cohort, limits),
    ]


def _altered_gap(before: Images, after: Images, cohort: Cohort, limits: AuditParams) -> Check:
    altered = np.array([not np.array_equal(b, a) for b, a in zip(before, after, strict=True)])
    ill = cohort.labels == 1
    return Check(
        "altered_gap",
        "augmentation",
        "Share of PNEUMONIA's training films that are altered, less that of NORMAL's",
        estimate(
            lambda w: _share(altered, ill, w) - _share(altered, ~ill, w), cohort.draws(limits)
        ),
        limits.max_altered_gap,
        two_sided=True,
        unit="%",
        detail={"PNEUMONIA": altered[ill].mean().item(), "NORMAL": altered[~ill].mean().item()},
    )


def _added(pair: tuple[Scores, Scores], weights_DN: Floats) -> Floats:
    """By how much the second AUROC is farther from 0.5 than the first."""
    first, second = (np.abs(auroc(each, 0, weights_DN) - 0.5) for each in pair)
    added: Floats = second - first
    return added


def _share(what: Bools, among: Bools, weights_DN: Floats) -> Floats:
    share: Floats = weights_DN @ (what & among) / (weights_DN @ among)
    return share


def exchange_probe(
    before: Images,
    as_normal: Images,
    as_pneumonia: Images,
    patients: npt.NDArray[np.str_],
    limits: AuditParams,
) -> Check:
    """Whether the two classes are treated alike, told from the same films treated both ways.

    The probe sees how a film's statistics changed. Compared between films of the two classes, the
    change would tell of the chest too (what a crop cuts away, which corner a turn blackens), and
    an honest recipe would look guilty; every film in both roles leaves the treatment alone to be
    told. Sizes of change are offered besides, for ranges that differ in width only.
    """
    raw = film_statistics(before)
    change = np.concatenate([film_statistics(as_normal) - raw, film_statistics(as_pneumonia) - raw])
    treatment = Cohort(np.repeat([0, 1], len(before)), np.tile(patients, 2))
    draws = treatment.draws(limits)
    scores = _probe(_linear(), np.c_[change, np.abs(change)], treatment, limits.seed)
    whole = np.ones((1, len(change)))
    alone = {
        name: float(auroc(treatment.scores(_ranked(column)), 0, whole)[0])
        for name, column in zip(NAMES, change.T, strict=True)
    }
    strongest = max(alone, key=lambda name: abs(alone[name] - 0.5))
    return Check(
        "exchange_auroc",
        "augmentation",
        "How well it can be told from a film's change which class's augmentation it got (AUROC)",
        _auroc_figure(scores, draws),
        limits.max_exchange_auroc,
        detail={"strongest_statistic": strongest, "its_auroc": alone[strongest]},
    )


def _linear() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def _probe(learner: Any, features: Floats, cohort: Cohort, seed: int) -> Scores:
    """Out-of-fold scores as ranks within the fold: the offsets of the folds would look like skill.

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
        learner.fit(features[learnt], labels[learnt])
        ranks[held] = _ranked(learner.predict_proba(features[held])[:, 1])
    return cohort.scores(ranks)


def _ranked(values: Floats) -> Floats:
    """In 0..1, ties in the middle."""
    ranks: Floats = (rankdata(values) - 0.5) / len(values)
    return ranks


def _auroc_figure(scores: Scores, draws_DN: Floats) -> Estimate:
    return estimate(lambda weights: auroc(scores, 0, weights), draws_DN)
