"""The figures of a model on a set of films, as files: `metrics.json` and `predictions.csv`.

A *figure* is `{value, ci_low, ci_high}`. What is missing is absent or null, never NaN.

    auroc, average_precision, accuracy, balanced_accuracy, sensitivity, specificity, f1, fnr, fpr,
    brier, ece                      figures, at the chosen operating point
    calibration_intercept,          figures in log odds, of the probabilities recalibrated to the
    calibration_slope               share of positives here (`metrics/calibration.py`), 0 and 1 are
                                    perfect; null where the films are separated
    n, n_positive, n_patients       films, positive ones, patients
    confusion                       {tp, fp, tn, fn}
    threshold, operating_point
    split                           null: not known
    operating_points                by name, each with the threshold fixed before:
        threshold, threshold_ci_low, threshold_ci_high
        confusion, and the figures accuracy, balanced_accuracy, sensitivity, specificity, f1, fnr,
        fpr
        predictive                  a list, one for each stated prevalence:
            prevalence, ppv, npv    figures; null where nothing was called so
            per_1000                {positive, negative}: numbers; {found, missed, cleared,
                                    false_alarms, right}: figures in patients, not rounded
        versus_reading_aid          {n, num_between, p, films_needed}: whether these films tell the
                                    threshold from the reading aid's; null for the reading aid
    calibration
        slope, intercept            of the bundle's Platt scaling; null: not known
        prevalence                  at which the probabilities hold; null: not known
        bins                        of the ECE, ascending: {n, low, high, mean_probability,
                                    share_positive: figure}
        at_own_prevalence           {prevalence, brier, ece}: the probabilities recalibrated to the
                                    share of positive among these films; null: not known
        elsewhere                   a list, by stated prevalence: {prevalence, threshold}: what the
                                    chosen threshold's probability is there
    decision_curve                  a list, by stated prevalence: {prevalence, threshold: [],
                                    net_benefit: [], ci_low: [], ci_high: [], treat_all: []}
    subgroups                       by dimension (`metrics/dimensions.py`: subtype, colour_mode,
                                    origin, aspect_ratio, height_px, brightness, contrast, and
                                    age, sex, view and other metadata), those that are known, and
                                    group: {n, n_positive, sensitivity, specificity, auroc}, the
                                    last three with the n_films and n_patients behind them, where
                                    these are two patients; quarters ("lowest quarter", ...) have
                                    bounds {low, high}; films without a value are "not stated"
    worst_groups                    by figure (sensitivity, specificity, auroc): {dimension, group,
                                    value, ci_low, ci_high, n_films, n_patients}: the lowest ci_low
                                    of the groups with 20 films behind it
    group_differences               by dimension: {verdict, differences: [{group, versus, figure,
                                    value, ci_low, ci_high, p}]}, see `metrics/group_differences.py`
    without_suspects                the figures, counts and confusion without films that may be
                                    known from training; absent without any, null if too few stay
    refused                         {n, share: figure}: films that the service would refuse as
                                    unlike the training films; of films from outside the pipeline

`predictions.csv`: image_id, patient_key, label, subtype, what is known of the film (origin,
width_px, height_px, colour_mode, mean, std, and metadata: meta_age, meta_sex, ...), logit,
probability.

Beside the leaderboard `comparisons.json` has, for `val` and `test`, `paired.compare` of all models
(and for `choice` the same of the AUROC that the leaderboard goes by, the mean of two validations):
`n`, `n_positive`, `alpha`, `tie_groups` (lists of names, best first, by AUROC) and
`pairs`: `{a, b}` and by figure (auroc, accuracy, sensitivity, specificity, balanced_accuracy,
average_precision, brier) the difference a - b `{value, ci_low, ci_high, p, p_holm}`. In
`leaderboard.csv` `tied_with_best` is true where that mean does not differ from that of the first
row.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.arrays import Floats, Images
from pneumo_core.atomic import read_json, replacing_file, write_json
from pneumo_core.data import manifest
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.measurement import Rule, check, figures_of, measure
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.paired import Reading
from pneumo_core.metrics.predictions import Predictions, read_table
from pneumo_core.models.bundle import Description, OperatingPoint
from pneumo_core.params import EvaluateParams

PREDICTION_COLUMNS = ["image_id", "patient_key", "label", "subtype"]
FILM_COLUMNS = ["origin", "width_px", "height_px", "colour_mode", "mean", "std"]


def predict(scorer: Scorer, films: pd.DataFrame, images: Images) -> pd.DataFrame:
    """The rows of `predictions.csv`; images [N, H, W] in the order of the films."""
    return as_predictions(scorer, films, scorer.logits(images))


def as_predictions(scorer: Scorer, films: pd.DataFrame, logits: Floats) -> pd.DataFrame:
    known = [column for column in FILM_COLUMNS if column in films]
    known += manifest.metadata_columns(films)
    return films[PREDICTION_COLUMNS + known].assign(
        logit=logits, probability=scorer.probabilities(logits)
    )


def as_scores(predictions: pd.DataFrame) -> Scores:
    return Scores(
        manifest.label_indices(predictions).to_numpy(np.int64),
        predictions["probability"].to_numpy(np.float64),
        predictions["patient_key"].to_numpy(np.str_),
        predictions["logit"].to_numpy(np.float64) if "logit" in predictions else None,
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
    if params.operating_point not in description.operating_points:
        raise EvaluationError(
            f"The bundle has no operating point {params.operating_point!r}, only "
            f"{', '.join(description.operating_points)}: see evaluate.operating_point."
        )
    rule = Rule(
        description.operating_points,
        params.operating_point,
        description.slope,
        description.intercept,
        description.calibration_prevalence,
    )
    metrics = measure(as_scores(predictions), predictions, rule, split, params)
    if suspects:
        trusted = predictions[~predictions["image_id"].isin(suspects)]
        metrics["without_suspects"] = _figures_if_any(trusted, metrics["threshold"], params)
    _write(folder, predictions, metrics)
    return metrics


def evaluate_predictions(
    folder: Path, predictions: Predictions, params: EvaluateParams
) -> dict[str, Any]:
    """The same of anybody's predictions, at their threshold or at one half.

    Their probabilities are taken to hold at the share of positive films that they were made for.
    """
    scores = as_scores(predictions.table)
    name, threshold = "given", predictions.threshold
    if threshold is None:
        name, threshold = "one half", 0.5
    point = OperatingPoint(threshold, ci_low=threshold, ci_high=threshold)
    rule = Rule({name: point}, name, prevalence=float(scores.labels.mean()))
    metrics = measure(scores, predictions.table, rule, None, params)
    _write(folder, predictions.table, metrics)
    return metrics


def _figures_if_any(
    predictions: pd.DataFrame, threshold: float, params: EvaluateParams
) -> dict[str, Any] | None:
    try:
        scores = as_scores(predictions)
        check(scores)
    except EvaluationError:
        return None
    return figures_of(scores, threshold, params)


def _write(folder: Path, predictions: pd.DataFrame, metrics: dict[str, Any]) -> None:
    write_json(folder / "metrics.json", metrics)
    with replacing_file(folder / "predictions.csv") as draft:
        predictions.to_csv(draft, index=False)


def read_evaluation(folder: Path) -> Reading:
    """Return the reading that `write_evaluation` wrote.

    Raises:
        EvaluationError: the folder holds no evaluation.
    """
    predictions = read_table(folder / "predictions.csv")
    try:
        threshold = read_json(folder / "metrics.json")["threshold"]
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(f"{folder} holds no evaluation: {error}") from error
    return Reading(as_scores(predictions), threshold)
