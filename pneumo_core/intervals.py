"""Figures with their 95 % intervals, over patients: films of one patient are alike.

One rule serves everything that lies in 0..1: Wilson's interval at the *effective* number of films,
that is the number of independent ones that would leave as much to chance. For films of different
patients a share's is the number of films, so the interval is Wilson's own; where patients have
several it is smaller by the design effect (Rao & Scott 1992). The variance comes from the sums over
patients for shares and the Brier score, from DeLong for the AUROC, from the bootstrap for average
precision. F1 is a function of one share, and sums and ratios of two shares take their intervals
from those of the two (MOVER, Donner & Zou 2012).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from pneumo_core import delong
from pneumo_core.metrics import (
    CONFIDENCE,
    Figure,
    Floats,
    Ints,
    Scores,
    average_precision,
    ece_by_bin,
    patient_weights,
)

Z = float(norm.ppf((1 + CONFIDENCE) / 2))
ECE_SCALES = np.linspace(0, 3, 61)

Bools = npt.NDArray[np.bool_]


class Estimates(NamedTuple):
    """Several figures as arrays [T]."""

    value: Floats
    low: Floats
    high: Floats

    def figure(self, index: int = 0) -> Figure:
        return Figure(*(float(part[index]) for part in self))

    def complement(self) -> "Estimates":
        return Estimates(1 - self.value, 1 - self.high, 1 - self.low)


def figures(scores: Scores, threshold: float, num_draws: int, seed: int) -> dict[str, Figure]:
    """All figures of `metrics.json`, by name."""
    weights_DN = patient_weights(scores, num_draws, seed)
    precision_D = average_precision(scores, threshold, weights_DN)
    precision = average_precision(scores, threshold, np.ones((1, len(scores.labels))))
    return at_threshold(scores, threshold) | {
        "auroc": auroc(scores),
        "average_precision": effective_wilson(
            precision, precision_D.var(keepdims=True), num_effective(scores, scores.ill)
        ).figure(),
        "brier": brier(scores),
        "ece": ece(scores, weights_DN),
    }


def at_threshold(scores: Scores, threshold: float) -> dict[str, Figure]:
    """The figures of the decisions."""
    called, ill = scores.reads(threshold), scores.ill
    sensitivity = shares(called[None], ill, scores)
    specificity = shares(~called[None], ~ill, scores)
    overlap = shares((called & ill)[None], called | ill, scores)
    return {
        "accuracy": shares((called == ill)[None], np.ones_like(ill), scores).figure(),
        "balanced_accuracy": weighted_sum(sensitivity, specificity, 0.5, 0.5).figure(),
        "sensitivity": sensitivity.figure(),
        "specificity": specificity.figure(),
        "f1": Estimates(*(2 * part / (1 + part) for part in overlap)).figure(),
        "fnr": sensitivity.complement().figure(),
        "fpr": specificity.complement().figure(),
    }


def shares(hits_TN: Bools, among_N: Bools, scores: Scores) -> Estimates:
    """The share of hits among some of the films, for each of T ways to hit."""
    patients, patient_of = np.unique(scores.patient_of[among_N], return_inverse=True)
    hits = hits_TN[:, among_N].astype(np.float64)
    value = hits.mean(1)
    surplus_TK = _sum_by_patient(hits - value[:, None], patient_of, len(patients))
    variance = (surplus_TK**2).sum(1) / hits.shape[1] ** 2
    return effective_wilson(value, variance, num_effective(scores, among_N))


def auroc(scores: Scores) -> Figure:
    parts = delong.influence(scores.probabilities[None], scores)
    variance = delong.covariance(parts)[0]
    fewest = min(num_effective(scores, scores.ill), num_effective(scores, ~scores.ill))
    return effective_wilson(parts.auroc, variance, fewest).figure()


def brier(scores: Scores) -> Figure:
    error = (scores.probabilities - scores.labels) ** 2
    value = error.mean(keepdims=True)
    surplus = np.bincount(scores.patient_of, error - value)
    variance = (surplus**2).sum(keepdims=True) / len(error) ** 2
    everything = np.ones_like(scores.ill)
    return effective_wilson(value, variance, num_effective(scores, everything)).figure()


def ece(scores: Scores, weights_DN: Floats) -> Figure:
    """The error over equal-mass bins, and the interval of the true one.

    Chance alone makes the error of a sample larger than the true one, so its bootstrap draws lie
    too high. Here the gaps of the bins are scaled until the error that they would show under the
    draws' noise is as large as the one that was found in 2.5 % of the draws, from either side.
    """
    gap_B = ece_by_bin(scores, np.ones((1, len(scores.labels))))[0]
    noise_DB = ece_by_bin(scores, weights_DN) - gap_B
    value = float(np.abs(gap_B).sum())
    shown_SD = np.abs(ECE_SCALES[:, None, None] * gap_B + noise_DB).sum(2)
    tail = (1 - CONFIDENCE) / 2
    at_least_S = np.maximum.accumulate((shown_SD >= value).mean(1))
    at_most_S = np.minimum.accumulate((shown_SD <= value).mean(1))
    low = float(np.interp(tail, at_least_S, ECE_SCALES)) if at_least_S[0] < tail else 0.0
    high = float(np.interp(-tail, -at_most_S, ECE_SCALES)) if at_most_S[0] > tail else 0.0
    return Figure(value, min(low, 1.0) * value, max(high, 1.0) * value)


def num_effective(scores: Scores, among_N: Bools) -> float:
    """Of films, if those of a patient were all the same (Kish 1965)."""
    sizes = np.bincount(scores.patient_of[among_N])
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def effective_wilson(value_T: Floats, variance_T: Floats, if_no_variance: float) -> Estimates:
    """Wilson's interval at the number of films whose share would vary as much.

    Args:
        if_no_variance: that number where nothing varies, so that nothing can be told from it.
    """
    spread_T = value_T * (1 - value_T)
    num_T = np.full_like(spread_T, if_no_variance)
    # Below the last digits of the values there is no variance.
    np.divide(spread_T, variance_T, out=num_T, where=(variance_T > 1e-15) & (spread_T > 0))
    middle = (value_T + Z**2 / (2 * num_T)) / (1 + Z**2 / num_T)
    half = Z * np.sqrt(spread_T / num_T + (Z / (2 * num_T)) ** 2) / (1 + Z**2 / num_T)
    # The interval holds its value, though rounding may say otherwise at 0 and 1.
    return Estimates(
        value_T, np.clip(middle - half, 0, value_T), np.clip(middle + half, value_T, 1)
    )


def weighted_sum(
    a: Estimates, b: Estimates, weight_a: float, weight_b: float | Floats
) -> Estimates:
    """MOVER for figures of different patients, the weights not negative."""
    value = weight_a * a.value + weight_b * b.value
    down = np.hypot(weight_a * (a.value - a.low), weight_b * (b.value - b.low))
    up = np.hypot(weight_a * (a.high - a.value), weight_b * (b.high - b.value))
    return Estimates(value, value - down, value + up)


def ratio(a: Estimates, b: Estimates) -> Estimates:
    """a / b by MOVER, for figures of different patients in 0..1; infinite where b is 0."""

    def bound(a_end: Floats, b_end: Floats, side: int) -> Floats:
        """The root r of (a - r b)^2 = (a - a_end)^2 + r^2 (b - b_end)^2 on one side."""
        square, middle = b_end * (2 * b.value - b_end), a.value * b.value
        rest = a_end * (2 * a.value - a_end)
        root = np.sqrt(np.maximum(middle**2 - square * rest, 0))
        return _divide(rest, middle + root) if side < 0 else _divide(middle + root, square)

    return Estimates(_divide(a.value, b.value), bound(a.low, b.high, -1), bound(a.high, b.low, 1))


def _divide(a: Floats, b: Floats) -> Floats:
    quotient: Floats = np.divide(a, b, out=np.full_like(a, np.inf), where=b > 0)
    return quotient


def _sum_by_patient(values_TN: Floats, patient_of: Ints, num_patients: int) -> Floats:
    order = np.argsort(patient_of, kind="stable")
    starts = np.searchsorted(patient_of[order], np.arange(num_patients))
    sums: Floats = np.add.reduceat(values_TN[:, order], starts, axis=1)
    return sums
