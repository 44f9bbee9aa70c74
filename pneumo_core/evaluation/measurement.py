"""The content of `metrics.json`, whose shape `evaluation.py` states, from predictions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.atomic import JsonDict
from pneumo_core.errors import EvaluationError
from pneumo_core.labels import LABELS, MIN_FILMS, MIN_PATIENTS
from pneumo_core.metrics.calibration import calibration, calibration_figures
from pneumo_core.metrics.dimensions import dimensions
from pneumo_core.metrics.group_differences import group_differences
from pneumo_core.metrics.intervals import at_threshold, figures
from pneumo_core.metrics.metrics import Scores, confusion
from pneumo_core.metrics.paired import distinguished
from pneumo_core.metrics.predictive import decision_curve, predictive_values
from pneumo_core.metrics.subgroups import subgroups, worst_groups
from pneumo_core.models.bundle import OperatingPoint
from pneumo_core.params import READING_AID, EvaluateParams


@dataclass(frozen=True)
class Rule:
    """How probabilities are read; fixed before these films were scored."""

    operating_points: Mapping[str, OperatingPoint]
    chosen: str
    slope: float | None = None  # of the calibration, as `intercept`
    intercept: float | None = None
    prevalence: float | None = None  # at which the probabilities hold


def measure(
    scores: Scores, films: pd.DataFrame, rule: Rule, split: str | None, params: EvaluateParams
) -> JsonDict:
    """Return the content of `metrics.json`.

    Args:
        films: what is known of them, in the order of the scores, for the subgroups.
        split: None where nobody says.

    Raises:
        EvaluationError: too few films or patients of a class, the same probability for all, or no
            column that `params.subgroups` names.
    """
    check(scores)
    points = rule.operating_points
    threshold = points[rule.chosen].threshold
    groups_of = dimensions(films, params.subgroups)
    by_group = subgroups(groups_of, scores, threshold)
    known = rule.prevalence
    return figures_of(scores, threshold, params) | {
        "threshold": threshold,
        "operating_point": rule.chosen,
        "split": split,
        "operating_points": {
            name: _at_point(scores, point, params.prevalences)
            | {"versus_reading_aid": _versus(scores, point, points.get(READING_AID))}
            for name, point in points.items()
        },
        **calibration_figures(scores, known),
        "calibration": {"slope": rule.slope, "intercept": rule.intercept}
        | calibration(scores, threshold, known, params),
        "decision_curve": [
            decision_curve(scores, known, prevalence) for prevalence in params.prevalences
        ]
        if known
        else None,
        "subgroups": by_group,
        "worst_groups": worst_groups(by_group),
        "group_differences": group_differences(groups_of, by_group, scores, threshold),
    }


def check(scores: Scores) -> None:
    """Raise EvaluationError if no figures with intervals can be given."""
    for name, films in zip(LABELS, (~scores.positive, scores.positive), strict=True):
        num_films, num_patients = int(films.sum()), len(np.unique(scores.patient_of[films]))
        if num_films < MIN_FILMS or num_patients < MIN_PATIENTS:
            raise EvaluationError(
                f"{num_films} films of {num_patients} patients are {name}: figures need at least "
                f"{MIN_FILMS} films of {MIN_PATIENTS} patients in each class."
            )
    if np.ptp(scores.probabilities) == 0:
        raise EvaluationError(
            f"All {len(scores.labels)} probabilities are {scores.probabilities[0]:g}: a model that "
            "says the same of every film has no figures."
        )


def figures_of(scores: Scores, threshold: float, params: EvaluateParams) -> JsonDict:
    found = figures(scores, threshold, params.num_draws, params.seed)
    return {name: asdict(figure) for name, figure in found.items()} | {
        "n": len(scores.labels),
        "n_positive": int(scores.labels.sum()),
        "n_patients": len(np.unique(scores.patient_of)),
        "confusion": asdict(confusion(scores, threshold)),
    }


def _versus(scores: Scores, point: OperatingPoint, aid: OperatingPoint | None) -> JsonDict | None:
    if aid is None or point is aid:
        return None
    return distinguished(scores, point.threshold, aid.threshold)


def _at_point(scores: Scores, point: OperatingPoint, prevalences: Collection[float]) -> JsonDict:
    found = at_threshold(scores, point.threshold)
    return {
        "threshold": point.threshold,
        "threshold_ci_low": point.ci_low,
        "threshold_ci_high": point.ci_high,
        "confusion": asdict(confusion(scores, point.threshold)),
        **{name: asdict(figure) for name, figure in found.items()},
        "predictive": [predictive_values(scores, point.threshold, p) for p in prevalences],
    }


def at_operating_point(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The part of a `metrics.json` that follows from a threshold; empty where it is missing."""
    points = metrics.get("operating_points")
    found = points.get(name) if isinstance(points, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def mean_value(
    validations: Sequence[Mapping[str, Any]], name: str, point: str | None = None
) -> float | None:
    """Return the mean of a figure over validations, by which models are ranked and chosen.

    Args:
        point: the operating point of a figure that follows from a threshold.

    None: there are no validations, or one of them has no such figure or point.
    """
    values = []
    for metrics in validations:
        at_point = at_operating_point(metrics, point) if point else metrics
        figure = {**metrics, **at_point}.get(name) if at_point else None
        if figure is None:
            return None
        values.append(figure["value"])
    return sum(values) / len(values) if values else None
