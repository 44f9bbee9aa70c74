"""Checks of a trained model on films whose brightness was changed, which should change nothing.

Both directions count. A model trained with the study's recipe reads bright films as NORMAL; one
that follows the natural cue of an archive may read them as PNEUMONIA. Neither reads the lungs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pneumo_core.arrays import Bools, Floats, Gray, Images, Ints
from pneumo_core.audit.robustness import curve_point
from pneumo_core.audit.shortcuts import (
    Check,
    Cohort,
    Predict,
    auroc_gap,
    estimate_mean,
    estimate_share,
)
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics import intervals
from pneumo_core.metrics.differences import of_shares
from pneumo_core.metrics.estimates import Estimates, weighted_sum
from pneumo_core.metrics.influence import Influence, of_auroc
from pneumo_core.metrics.metrics import Estimate, Scores
from pneumo_core.params import AuditParams
from pneumo_core.progress import track

SHIFTS = (-0.20, -0.15, -0.10, -0.05, 0.05, 0.10, 0.15, 0.20)  # of full scale
STUDY_SHIFT = 0.10  # the middle of what the study adds to NORMAL and takes from PNEUMONIA
CALIPER = 0.01  # of full scale: the largest difference in brightness within a matched pair
MIN_PAIRS = 5


@dataclass(frozen=True)
class Readings:
    """Probabilities of the same films, [N], under each alteration: all that takes time."""

    cohort: Cohort
    threshold: float
    brightness: Floats  # mean of each film, 0..1
    unaltered: Floats
    shifted: dict[float, Floats]  # by shift
    levelled: Floats  # every film shifted to the mean brightness of all

    def scores(self, probabilities: Floats | None = None) -> Scores:
        return self.cohort.scores(self.unaltered if probabilities is None else probabilities)


def read_altered(predict: Predict, images: Images, cohort: Cohort, threshold: float) -> Readings:
    """Return the readings of films [N, H, W] in ten passes."""
    brightness = np.array([pixels.mean() for pixels in images]) / 255
    to_mean = brightness.mean() - brightness
    return Readings(
        cohort,
        threshold,
        brightness,
        predict(images),
        {
            by: predict(shift(images, np.full(len(images), by)))
            for by in track(SHIFTS, "shift brightness", unit="shift")
        },
        predict(shift(images, to_mean)),
    )


def shift(images: Images, by: Floats) -> Images:
    """Return each film brighter by its part of full scale, rounded to a level and clipped."""
    return np.stack([_shift(pixels, part) for pixels, part in zip(images, by, strict=True)])


def _shift(pixels: Gray, by: float) -> Gray:
    levels = np.clip(np.arange(256) + np.rint(255 * by), 0, 255).astype(np.uint8)
    shifted: Gray = levels[pixels]
    return shifted


def audit_model(readings: Readings, limits: AuditParams) -> list[Check]:
    return [
        *brightness_sweep(readings, limits),
        *swapped_test(readings, limits),
        *mean_matched(readings, limits),
    ]


def brightness_sweep(readings: Readings, limits: AuditParams) -> list[Check]:
    """Return how often, and in which direction, a reading follows a shift of brightness."""
    cohort, draws = readings.cohort, readings.cohort.draws(limits)
    called = readings.unaltered >= readings.threshold
    flips = {by: (p >= readings.threshold) != called for by, p in readings.shifted.items()}
    moves = {by: p - readings.unaltered for by, p in readings.shifted.items()}
    shifts = np.array(list(readings.shifted))
    logits_SN = np.stack([_logit(p) for p in readings.shifted.values()])
    slopes = 0.1 * shifts @ logits_SN / (shifts @ shifts)  # shifts are symmetric about 0
    return [
        Check(
            "flip_rate",
            "model",
            f"Films whose reading flips when brightness shifts by {STUDY_SHIFT:g}",
            limits.max_flip_rate,
            estimate_share(np.stack([flips[STUDY_SHIFT], flips[-STUDY_SHIFT]]), cohort),
            unit="%",
            detail={
                "by_shift": {
                    f"{by:+.2f}": estimate_share(f[None], cohort) for by, f in flips.items()
                },
                "overall": estimate_share(np.stack(list(flips.values())), cohort),
                "mean_change_of_probability": {
                    f"{by:+.2f}": estimate_mean(move, draws) for by, move in moves.items()
                },
                "figures": {
                    f"{by:+.2f}": curve_point(readings.scores(p), readings.threshold)
                    for by, p in sorted((readings.shifted | {0.0: readings.unaltered}).items())
                },
            },
        ),
        Check(
            "brightness_slope",
            "model",
            "Change of the log odds of PNEUMONIA for each 0.1 of brightness",
            limits.max_slope,
            estimate_mean(slopes, draws),
            two_sided=True,
            detail={"brighter_reads_as": "PNEUMONIA" if slopes.mean() > 0 else "NORMAL"},
        ),
    ]


def swapped_test(readings: Readings, limits: AuditParams) -> list[Check]:
    """Return what each class loses under the other class's shift, compared with its own.

    Either way every film is shifted equally far, so a model that reads the lungs loses equally.
    """
    positive = readings.cohort.labels == 1
    up, down = readings.shifted[STUDY_SHIFT], readings.shifted[-STUDY_SHIFT]
    own = readings.scores(np.where(positive, down, up))
    swapped = readings.scores(np.where(positive, up, down))
    points = {
        name: intervals.at_threshold(scores, readings.threshold)
        | {"auroc": intervals.auroc(scores)}
        for name, scores in {
            "unaltered": readings.scores(),
            "own_class": own,
            "swapped": swapped,
        }.items()
    }
    gaps = {
        "auroc": auroc_gap(of_auroc(own), of_auroc(swapped), own),
        "balanced_accuracy": _balanced_accuracy_gap(own, swapped, readings.threshold),
    }
    words = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy"}
    return [
        Check(
            f"swap_gap_{name}",
            "model",
            f"The model's {words[name]} with NORMAL brightened and PNEUMONIA darkened by "
            f"{STUDY_SHIFT:g}, as the study trains, less that with the two swapped",
            limits.max_swap_gap,
            gap,
            two_sided=True,
            detail={of: figures[name] for of, figures in points.items()},
        )
        for name, gap in gaps.items()
    ]


def _balanced_accuracy_gap(a: Scores, b: Scores, threshold: float) -> Estimate:
    """Return a's less b's: the mean of the paired differences of sensitivity and specificity."""
    positive = a.labels == 1
    right_a, right_b = (scores.reads(threshold) == positive for scores in (a, b))

    def gap(films: Bools) -> Estimates:
        found = of_shares(right_a, right_b, films, a)
        return Estimates(*(np.array([end]) for end in (found.value, found.ci_low, found.ci_high)))

    return weighted_sum(gap(positive), gap(~positive), 0.5, 0.5).figure()


def mean_matched(readings: Readings, limits: AuditParams) -> list[Check]:
    """Return what the AUROC loses where mean brightness tells nothing of the label.

    Pairing shows that a model uses the brightness that the films themselves have. Levelling keeps
    every film, but removes the noise of exposure too, so a model that brightness only disturbed
    gains by it. Where too few films can be paired, that check has no figure.
    """
    plain, levelled = readings.scores(), readings.scores(readings.levelled)
    return [
        Check(
            "levelled_drop",
            "model",
            "What the AUROC loses when all films are brought to one mean brightness",
            limits.max_matched_drop,
            auroc_gap(of_auroc(plain), of_auroc(levelled), plain),
            two_sided=True,
            detail={"all": intervals.auroc(plain), "levelled": intervals.auroc(levelled)},
        ),
        Check(
            "paired_drop",
            "model",
            "What the AUROC loses among films that are paired between the classes by brightness",
            limits.max_matched_drop,
            two_sided=True,
        ).measured(lambda: _paired_drop(readings)),
    ]


def _paired_drop(readings: Readings) -> tuple[Estimate, dict[str, Any]]:
    """Raises EvaluationError where fewer than `MIN_PAIRS` pairs of films are alike."""
    plain, brightness = readings.scores(), readings.scores(readings.brightness)
    paired = match_pairs(readings.brightness, readings.cohort.labels)
    num_pairs = int(paired.sum()) // 2
    if num_pairs < MIN_PAIRS:
        raise EvaluationError(
            f"Only {num_pairs} pairs of films of both classes are alike in brightness, "
            f"{MIN_PAIRS} are needed."
        )
    some, influence = _among(plain, paired)
    return auroc_gap(of_auroc(plain), influence, some), {
        "num_pairs": num_pairs,
        "paired": intervals.auroc(some),
        "brightness_alone": intervals.auroc(brightness),
        "brightness_alone_paired": intervals.auroc(_among(brightness, paired)[0]),
    }


def _among(scores: Scores, films: Bools) -> tuple[Scores, Influence]:
    """Return some of the films, and what each patient of all films adds to their AUROC."""
    some = scores.part(films)
    found = of_auroc(some)
    by_patient = np.zeros(scores.patient_of.max() + 1)
    by_patient[np.unique(scores.patient_of[films])] = found.by_patient
    return some, Influence(found.value, by_patient)


def match_pairs(brightness: Floats, labels: Ints) -> Bools:
    """Return which films have a partner of the other class within the caliper, [N].

    A film has one partner at most. Both classes are gone through by ascending brightness and a film
    takes the first partner that is free, which gives the largest possible number of pairs.
    """
    order = np.argsort(brightness, kind="stable")
    negative, positive = (order[labels[order] == label].tolist() for label in (0, 1))
    paired = np.zeros(len(labels), bool)
    i = j = 0
    while i < len(negative) and j < len(positive):
        ahead = brightness[negative[i]] - brightness[positive[j]]
        if abs(ahead) <= CALIPER:
            paired[[negative[i], positive[j]]] = True
        i, j = i + (ahead <= CALIPER), j + (ahead >= -CALIPER)
    return paired


def _logit(probabilities: Floats) -> Floats:
    clipped = probabilities.clip(1e-12, 1 - 1e-12)
    log_odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return log_odds
