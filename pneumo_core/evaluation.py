"""What a model is worth on a set of films, as files: `metrics.json` and `predictions.csv`.

A *figure* is `{value, ci_low, ci_high}`. What is missing is absent or null, never NaN.

    auroc, average_precision, accuracy, balanced_accuracy, sensitivity, specificity, f1, fnr, fpr,
    brier, ece                      figures, at the chosen operating point
    n, n_positive, n_patients       films, ill ones, patients
    confusion                       {tp, fp, tn, fn}
    threshold, operating_point, split
    operating_points                by name, each with the threshold fixed before:
        threshold, threshold_ci_low, threshold_ci_high (null: not known)
        confusion, and the figures accuracy, balanced_accuracy, sensitivity, specificity, f1, fnr,
        fpr
        predictive                  a list, one for each stated prevalence:
            prevalence, ppv, npv    figures; null where nothing was called so
            per_1000                {ill, well}: numbers; {found, missed, cleared, false_alarms,
                                    right}: figures in patients, not rounded
    calibration
        temperature                 null: not known
        prevalence                  at which the probabilities hold; null: not known
        bins                        of the ECE, ascending: {n, low, high, mean_probability,
                                    share_ill: figure}
        at_own_prevalence           {prevalence, brier, ece}: the probabilities recalibrated to the
                                    share of ill among these films; null: not known
        elsewhere                   a list, by stated prevalence: {prevalence, threshold}: what the
                                    chosen threshold's probability is there
    decision_curve                  a list, by stated prevalence: {prevalence, threshold: [],
                                    net_benefit: [], ci_low: [], ci_high: [], treat_all: []}
    subgroups                       by dimension (subtype, colour_mode, origin, aspect_ratio,
                                    height_px, brightness, contrast), those that are known, and
                                    group: {n, n_positive, sensitivity, specificity, auroc}, the
                                    last three where the group has the classes; quarters are
                                    lowest, low, high, highest, with their bounds {low, high}
    worst_groups                    by figure (sensitivity, specificity, auroc): {dimension, group,
                                    value, ci_low, ci_high}, of groups with 20 films of the class
    without_suspects                the figures, counts and confusion without films that may be
                                    known from training; absent without any, null if too few stay

`predictions.csv`: image_id, path, patient_key, label, subtype, what is known of the film (origin,
width_px, height_px, colour_mode, mean, std), logit, probability.

Beside the leaderboard `comparisons.json` has, for `val` and `test`, `paired.compare` of all models:
`n`, `n_positive`, `alpha`, `num_draws`, `tie_groups` (lists of names, best first, by AUROC) and
`pairs`: `{a, b}` and by figure (auroc, accuracy, sensitivity, specificity, balanced_accuracy,
average_precision, brier) the difference a - b `{value, ci_low, ci_high, p, p_holm}`. In
`leaderboard.csv` `tied_with_best` is true where the AUROC on validation cannot be told from that of
the first row.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core import manifest
from pneumo_core.atomic import replacing_file, write_json
from pneumo_core.bundle import Description, OperatingPoint
from pneumo_core.calibration import calibration
from pneumo_core.errors import EvaluationError
from pneumo_core.images import Images
from pneumo_core.intervals import at_threshold, figures
from pneumo_core.metrics import Floats, Scores, confusion
from pneumo_core.paired import Reading
from pneumo_core.params import EvaluateParams
from pneumo_core.predictive import decision_curve, predictive_values
from pneumo_core.scoring import Scorer
from pneumo_core.subgroups import subgroups, worst_groups

MIN_FILMS = 3  # of each class
PREDICTION_COLUMNS = ["image_id", "path", "patient_key", "label", "subtype"]
FILM_COLUMNS = ["origin", "width_px", "height_px", "colour_mode", "mean", "std"]


@dataclass(frozen=True)
class Rule:
    """How probabilities are read, which was settled before these films were seen."""

    operating_points: Mapping[str, OperatingPoint]
    temperature: float | None = None
    prevalence: float | None = None  # at which the probabilities hold


def predict(scorer: Scorer, films: pd.DataFrame, images: Images) -> pd.DataFrame:
    """The rows of `predictions.csv`; images [N, H, W] in the order of the films."""
    return as_predictions(scorer, films, scorer.logits(images))


def as_predictions(scorer: Scorer, films: pd.DataFrame, logits: Floats) -> pd.DataFrame:
    known = [column for column in FILM_COLUMNS if column in films]
    return films[PREDICTION_COLUMNS + known].assign(
        logit=logits, probability=scorer.probabilities(logits)
    )


def as_scores(predictions: pd.DataFrame) -> Scores:
    return Scores(
        manifest.label_indices(predictions).to_numpy(np.int64),
        predictions["probability"].to_numpy(np.float64),
        predictions["patient_key"].to_numpy(np.str_),
    )


def write_evaluation(
    folder: Path,
    predictions: pd.DataFrame,
    description: Description,
    split: str,
    params: EvaluateParams,
    suspects: Collection[str] = (),
) -> dict[str, Any]:
    """Writes both files and returns the content of `metrics.json`.

    Args:
        suspects: `image_id` of films that may be known from training.

    Raises:
        EvaluationError: too few films of a class, the same probability for all, or the bundle has
            no such operating point.
    """
    rule = Rule(
        description.operating_points, description.temperature, description.calibration_prevalence
    )
    metrics = evaluate(predictions, rule, split, params)
    if suspects:
        trusted = predictions[~predictions["image_id"].isin(suspects)]
        counts = trusted["label"].value_counts()
        enough = len(counts) > 1 and counts.min() >= MIN_FILMS
        metrics["without_suspects"] = (
            _figures(as_scores(trusted), metrics["threshold"], params) if enough else None
        )
    write_json(folder / "metrics.json", metrics)
    with replacing_file(folder / "predictions.csv") as draft:
        predictions.to_csv(draft, index=False)
    return metrics


def read_evaluation(folder: Path) -> Reading:
    """What `write_evaluation` wrote.

    Raises:
        EvaluationError: the folder holds no evaluation.
    """
    try:
        predictions = pd.read_csv(folder / "predictions.csv")
        threshold = json.loads((folder / "metrics.json").read_text("utf-8"))["threshold"]
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(f"{folder} holds no evaluation: {error}") from error
    return Reading(as_scores(predictions), threshold)


def evaluate(
    predictions: pd.DataFrame, rule: Rule, split: str, params: EvaluateParams
) -> dict[str, Any]:
    """The content of `metrics.json`; raises EvaluationError as `write_evaluation` does."""
    scores = as_scores(predictions)
    _check(scores)
    points = rule.operating_points
    if params.operating_point not in points:
        raise EvaluationError(
            f"The bundle has no operating point {params.operating_point!r}, only "
            f"{', '.join(points)}: see evaluate.operating_point."
        )
    threshold = points[params.operating_point].threshold
    by_group = subgroups(predictions, scores, threshold)
    known = rule.prevalence
    return _figures(scores, threshold, params) | {
        "threshold": threshold,
        "operating_point": params.operating_point,
        "split": split,
        "operating_points": {
            name: _at_point(scores, point, params.prevalences) for name, point in points.items()
        },
        "calibration": calibration(scores, threshold, rule.temperature, known, params),
        "decision_curve": [
            decision_curve(scores, known, prevalence) for prevalence in params.prevalences
        ]
        if known
        else None,
        "subgroups": by_group,
        "worst_groups": worst_groups(by_group),
    }


def _check(scores: Scores) -> None:
    """
    Raises:
        EvaluationError: too few films of a class, or the same probability for all.
    """
    num_ill, num_films = int(scores.labels.sum()), len(scores.labels)
    if min(num_ill, num_films - num_ill) < MIN_FILMS:
        raise EvaluationError(
            f"{num_films} films, {num_ill} of them PNEUMONIA: figures need at least {MIN_FILMS} of "
            "each class."
        )
    if np.ptp(scores.probabilities) == 0:
        raise EvaluationError(
            f"All {num_films} probabilities are {scores.probabilities[0]:g}: a model that says the "
            "same of every film has no figures."
        )


def _figures(scores: Scores, threshold: float, params: EvaluateParams) -> dict[str, Any]:
    found = figures(scores, threshold, params.num_draws, params.seed)
    return {name: asdict(figure) for name, figure in found.items()} | {
        "n": len(scores.labels),
        "n_positive": int(scores.labels.sum()),
        "n_patients": len(np.unique(scores.patient_of)),
        "confusion": asdict(confusion(scores, threshold)),
    }


def _at_point(
    scores: Scores, point: OperatingPoint, prevalences: Collection[float]
) -> dict[str, Any]:
    found = at_threshold(scores, point.threshold)
    return {
        "threshold": point.threshold,
        "threshold_ci_low": point.ci_low,
        "threshold_ci_high": point.ci_high,
        "confusion": asdict(confusion(scores, point.threshold)),
        **{name: asdict(figure) for name, figure in found.items()},
        "predictive": [predictive_values(scores, point.threshold, p) for p in prevalences],
    }
