"""Checks of a trained model: films altered in what should not matter, brightness.

Both directions count. A model taught by the study's recipe holds bright films for NORMAL, one that
leans on the natural cue of an archive may hold them for PNEUMONIA; neither looks at the lung.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Floats, Gray, Images, Ints
from pneumo_core.audit.robustness import curve_point
from pneumo_core.audit.shortcuts import Check, Cohort, Score, estimate, estimate_mean
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.metrics import Estimate, Scores, auroc, balanced_accuracy
from pneumo_core.params import AuditParams

SHIFTS = (-0.20, -0.15, -0.10, -0.05, 0.05, 0.10, 0.15, 0.20)  # parts of full scale
STUDY_SHIFT = 0.10  # the middle of what the study adds to NORMAL and takes from PNEUMONIA
CALIPER = 0.01  # of full scale: the most by which the brightness of a matched pair differs

Statistic = Callable[[Scores, float, Floats], Floats]


@dataclass(frozen=True)
class Readings:
    """A model's probabilities of the same films under each alteration; all that costs time."""

    cohort: Cohort
    threshold: float
    brightness: Floats  # mean of each film, 0..1
    unaltered: Floats
    shifted: dict[float, Floats]
    levelled: Floats  # every film shifted to the mean brightness of all

    def scores(self, probabilities: Floats | None = None) -> Scores:
        return self.cohort.scores(self.unaltered if probabilities is None else probabilities)


def read_altered(score: Score, images: Images, cohort: Cohort, threshold: float) -> Readings:
    """Ten passes over the films; a few hundred are enough."""
    brightness = np.array([pixels.mean() for pixels in images]) / 255
    away = brightness.mean() - brightness
    return Readings(
        cohort,
        threshold,
        brightness,
        score(images),
        {by: score(shift(images, np.full(len(images), by))) for by in SHIFTS},
        score(shift(images, away)),
    )


def shift(images: Images, by: Floats) -> Images:
    """Each film brighter by its part of full scale, to the nearest level, clipped."""
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
    """How often, and which way, a reading follows a shift of the whole film's brightness."""
    draws = readings.cohort.draws(limits)
    called = readings.unaltered >= readings.threshold
    flips = {by: (p >= readings.threshold) != called for by, p in readings.shifted.items()}
    moves = {by: p - readings.unaltered for by, p in readings.shifted.items()}
    shifts = np.array(list(readings.shifted))
    logits_SN = np.stack([_logit(p) for p in readings.shifted.values()])
    slopes = 0.1 * shifts @ logits_SN / (shifts @ shifts)  # shifts are symmetric about 0
    at_study = (flips[STUDY_SHIFT].astype(float) + flips[-STUDY_SHIFT]) / 2
    return [
        Check(
            "flip_rate",
            "model",
            f"Films whose reading flips when brightness shifts by {STUDY_SHIFT:g}",
            estimate_mean(at_study, draws),
            limits.max_flip_rate,
            unit="%",
            detail={
                "by_shift": {f"{by:+.2f}": estimate_mean(f, draws) for by, f in flips.items()},
                "overall": estimate_mean(np.mean(list(flips.values()), axis=0), draws),
                "mean_change_of_probability": {
                    f"{by:+.2f}": estimate_mean(move, draws) for by, move in moves.items()
                },
                "figures": {
                    f"{by:+.2f}": curve_point(readings.scores(p), readings.threshold, draws)
                    for by, p in sorted((readings.shifted | {0.0: readings.unaltered}).items())
                },
            },
        ),
        Check(
            "brightness_slope",
            "model",
            "Change of the log odds of PNEUMONIA for each 0.1 of brightness",
            estimate_mean(slopes, draws),
            limits.max_slope,
            two_sided=True,
            detail={"brighter_reads_as": "PNEUMONIA" if slopes.mean() > 0 else "NORMAL"},
        ),
    ]


def swapped_test(readings: Readings, limits: AuditParams) -> list[Check]:
    """Each class under the study's shift for it, and under that of the other class.

    Either way every film is shifted equally far: who reads the lung loses equally by both.
    """
    ill = readings.cohort.labels == 1
    up, down = readings.shifted[STUDY_SHIFT], readings.shifted[-STUDY_SHIFT]
    own = readings.scores(np.where(ill, down, up))
    swapped = readings.scores(np.where(ill, up, down))
    draws = readings.cohort.draws(limits)

    def gap(name: str, words: str, statistic: Statistic) -> Check:
        def of(scores: Scores) -> Estimate:
            return estimate(lambda w: statistic(scores, readings.threshold, w), draws)

        def difference(weights_DN: Floats) -> Floats:
            gained: Floats = statistic(own, readings.threshold, weights_DN)
            return gained - statistic(swapped, readings.threshold, weights_DN)

        return Check(
            f"swap_gap_{name}",
            "model",
            f"The model's {words} with NORMAL brightened and PNEUMONIA darkened by "
            f"{STUDY_SHIFT:g}, as the study trains, less that with the two swapped",
            estimate(difference, draws),
            limits.max_swap_gap,
            two_sided=True,
            detail={
                "unaltered": of(readings.scores()),
                "own_class": of(own),
                "swapped": of(swapped),
            },
        )

    return [
        gap("auroc", "AUROC", auroc),
        gap("balanced_accuracy", "balanced accuracy", balanced_accuracy),
    ]


def mean_matched(readings: Readings, limits: AuditParams) -> list[Check]:
    """What the AUROC loses where mean brightness says nothing of the label.

    Pairing finds who leans on a cue that the films themselves have, and finds nothing where they
    have none. Levelling keeps every film, but takes the noise of exposure away with the cue: what
    it shows best is a model that gains, since brightness only disturbed it.

    Raises:
        EvaluationError: too few films are alike in brightness.
    """
    labels = readings.cohort.labels
    plain, levelled = readings.scores(), readings.scores(readings.levelled)
    brightness = readings.scores(readings.brightness)
    paired = match_pairs(readings.brightness, labels)
    draws = readings.cohort.draws(limits)
    usable = _with_pairs(draws, paired, labels)

    def area(scores: Scores, weights_DN: Floats) -> Floats:
        return auroc(scores, 0, weights_DN)

    return [
        Check(
            "levelled_drop",
            "model",
            "What the AUROC loses when all films are brought to one mean brightness",
            estimate(lambda w: area(plain, w) - area(levelled, w), draws),
            limits.max_matched_drop,
            two_sided=True,
            detail={
                "all": estimate(lambda w: area(plain, w), draws),
                "levelled": estimate(lambda w: area(levelled, w), draws),
            },
        ),
        Check(
            "paired_drop",
            "model",
            "What the AUROC loses among films that are paired between the classes by brightness",
            estimate(lambda w: area(plain, w) - area(plain, w * paired), usable),
            limits.max_matched_drop,
            two_sided=True,
            detail={
                "num_pairs": int(paired.sum()) // 2,
                "paired": estimate(lambda w: area(plain, w * paired), usable),
                "brightness_alone": estimate(lambda w: area(brightness, w), draws),
                "brightness_alone_paired": estimate(lambda w: area(brightness, w * paired), usable),
            },
        ),
    ]


def _with_pairs(draws: Floats, paired: npt.NDArray[np.bool_], labels: Ints) -> Floats:
    """The draws in which paired films of both classes are."""
    in_both = [(draws * paired) @ (labels == label) > 0 for label in (0, 1)]
    usable: Floats = draws[in_both[0] & in_both[1]]
    if len(usable) < 0.99 * len(draws):
        raise EvaluationError(
            f"Only {paired.sum() // 2} pairs of films are alike in brightness: too few to say "
            "what the model does without it."
        )
    return usable


def match_pairs(brightness: Floats, labels: Ints) -> npt.NDArray[np.bool_]:
    """Which films have a partner of the other class within the caliper, each one partner, [N].

    Both classes in ascending order, each film with the first that it can have: as many pairs as
    there can be.
    """
    order = np.argsort(brightness, kind="stable")
    well, ill = (order[labels[order] == label].tolist() for label in (0, 1))
    paired = np.zeros(len(labels), bool)
    i = j = 0
    while i < len(well) and j < len(ill):
        ahead = brightness[well[i]] - brightness[ill[j]]
        if abs(ahead) <= CALIPER:
            paired[[well[i], ill[j]]] = True
        i, j = i + (ahead <= CALIPER), j + (ahead >= -CALIPER)
    return paired


def _logit(probabilities: Floats) -> Floats:
    clipped = probabilities.clip(1e-12, 1 - 1e-12)
    log_odds: Floats = np.log(clipped) - np.log1p(-clipped)
    return log_odds
