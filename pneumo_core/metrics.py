"""Figures of a binary classifier, each with its 95 % interval.

Proportions carry Wilson's interval. The others carry a percentile interval from a bootstrap over
patients, not images: films of one patient are alike. The draws are one matrix of weights, so that
2,000 of them take well under a second for a test set of this size.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from pneumo_core.errors import EvaluationError

CONFIDENCE = 0.95
NUM_ECE_BINS = 15

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """What a model said of a set of films; `labels` are 1 for PNEUMONIA.

    Raises:
        EvaluationError: lengths differ, a value is not finite or no probability, or only one
            class is there, which most figures need two of.
    """

    labels: Ints  # [N]
    probabilities: Floats  # [N]
    patient_keys: npt.NDArray[np.str_]  # [N]

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.probabilities) == len(self.patient_keys):
            raise EvaluationError("Labels, probabilities and patients differ in number.")
        inside = (self.probabilities >= 0) & (self.probabilities <= 1)
        if not inside.all():  # a NaN is not inside either
            raise EvaluationError(f"{int((~inside).sum())} probabilities lie outside 0..1.")
        num_positive = int(self.labels.sum())
        if num_positive in (0, len(self.labels)):
            raise EvaluationError(
                f"{num_positive} of {len(self.labels)} films are PNEUMONIA: both classes needed."
            )


@dataclass(frozen=True)
class Figure:
    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Confusion:
    tp: int
    fp: int
    tn: int
    fn: int


def confusion(scores: Scores, threshold: float) -> Confusion:
    """A probability at or above the threshold reads as PNEUMONIA."""
    called, ill = scores.probabilities >= threshold, scores.labels == 1
    return Confusion(
        tp=int((called & ill).sum()),
        fp=int((called & ~ill).sum()),
        tn=int((~called & ~ill).sum()),
        fn=int((~called & ill).sum()),
    )


def figures(scores: Scores, threshold: float, num_draws: int, seed: int) -> dict[str, Figure]:
    """All figures of `metrics.json`, by name."""
    c = confusion(scores, threshold)
    found = {
        "accuracy": wilson(c.tp + c.tn, len(scores.labels)),
        "sensitivity": wilson(c.tp, c.tp + c.fn),
        "specificity": wilson(c.tn, c.tn + c.fp),
        "fnr": wilson(c.fn, c.tp + c.fn),
        "fpr": wilson(c.fp, c.tn + c.fp),
    }
    whole = np.ones((1, len(scores.labels)))
    draws = patient_weights(scores, num_draws, seed)
    for name, statistic in {
        "auroc": auroc,
        "average_precision": average_precision,
        "balanced_accuracy": balanced_accuracy,
        "f1": f1,
        "brier": brier,
        "ece": ece,
    }.items():
        value = float(statistic(scores, threshold, whole)[0])
        found[name] = Figure(value, *percentile_interval(statistic(scores, threshold, draws)))
    return found


def wilson(successes: int, trials: int) -> Figure:
    """Wilson (1927), without continuity correction."""
    interval = binomtest(successes, trials).proportion_ci(CONFIDENCE, method="wilson")
    return Figure(successes / trials, float(interval.low), float(interval.high))


def percentile_interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def patient_weights(scores: Scores, num_draws: int, seed: int) -> Floats:
    """How often each film is in each bootstrap draw of patients, [D, N].

    Patients are drawn within their class (well, ill, or films of both), so that each draw has both.
    """
    keys, patient_of = np.unique(scores.patient_keys, return_inverse=True)
    share_ill = np.bincount(patient_of, scores.labels) / np.bincount(patient_of)
    rng = np.random.default_rng(seed)
    times = np.zeros((num_draws, len(keys)))
    for of_class in (share_ill == 0, share_ill == 1, (share_ill > 0) & (share_ill < 1)):
        members = np.flatnonzero(of_class)
        if len(members):
            even = np.full(len(members), 1 / len(members))
            times[:, members] = rng.multinomial(len(members), even, size=num_draws)
    weights: Floats = times[:, patient_of]
    return weights


# Each statistic takes weights [D, N] of the films and gives one value a draw, [D].


def auroc(scores: Scores, _: float, weights_DN: Floats) -> Floats:
    """Mann-Whitney, ties counted half."""
    ill_DG, well_DG = _mass_by_score(scores, weights_DN)
    well_below = np.cumsum(well_DG, axis=1) - well_DG / 2
    won: Floats = (ill_DG * well_below).sum(1) / (ill_DG.sum(1) * well_DG.sum(1))
    return won


def average_precision(scores: Scores, _: float, weights_DN: Floats) -> Floats:
    """Mean precision over the steps of recall, as scikit-learn defines it."""
    ill_DG, well_DG = (mass[:, ::-1] for mass in _mass_by_score(scores, weights_DN))
    true, called = np.cumsum(ill_DG, axis=1), np.cumsum(ill_DG + well_DG, axis=1)
    precision = np.divide(true, called, out=np.zeros_like(true), where=called > 0)
    mean: Floats = (precision * ill_DG).sum(1) / ill_DG.sum(1)
    return mean


def _mass_by_score(scores: Scores, weights_DN: Floats) -> tuple[Floats, Floats]:
    """Weight of each class at each distinct probability, ascending, [D, G]."""
    order = np.argsort(scores.probabilities, kind="stable")
    ordered = scores.probabilities[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    weights, ill = weights_DN[:, order], scores.labels[order] == 1
    return (
        np.add.reduceat(weights * ill, starts, axis=1),
        np.add.reduceat(weights * ~ill, starts, axis=1),
    )


def balanced_accuracy(scores: Scores, threshold: float, weights_DN: Floats) -> Floats:
    right = (scores.probabilities >= threshold) == (scores.labels == 1)
    ill = scores.labels == 1
    sensitivity = weights_DN @ (right & ill) / (weights_DN @ ill)
    specificity = weights_DN @ (right & ~ill) / (weights_DN @ ~ill)
    mean: Floats = (sensitivity + specificity) / 2
    return mean


def f1(scores: Scores, threshold: float, weights_DN: Floats) -> Floats:
    called, ill = scores.probabilities >= threshold, scores.labels == 1
    score: Floats = 2 * (weights_DN @ (called & ill)) / (weights_DN @ called + weights_DN @ ill)
    return score


def brier(scores: Scores, _: float, weights_DN: Floats) -> Floats:
    mean: Floats = weights_DN @ (scores.probabilities - scores.labels) ** 2 / weights_DN.sum(1)
    return mean


def ece(scores: Scores, _: float, weights_DN: Floats) -> Floats:
    """Expected calibration error over bins that hold equally many films."""
    order = np.argsort(scores.probabilities, kind="stable")
    gap = (scores.probabilities - scores.labels)[order] * weights_DN[:, order]
    edges = np.linspace(0, len(order), min(NUM_ECE_BINS, len(order)) + 1).astype(int)[:-1]
    error: Floats = np.abs(np.add.reduceat(gap, edges, axis=1)).sum(1) / weights_DN.sum(1)
    return error
