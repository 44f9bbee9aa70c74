"""Figures of a binary classifier's probabilities, for any weights of the films.

Each statistic takes a matrix of weights, so that 2,000 bootstrap draws of patients (not of films:
those of one patient are alike) take well under a second for a test set of this size. Figures with
their intervals are in `intervals.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Floats, Ints
from pneumo_core.errors import EvaluationError

CONFIDENCE = 0.95
NUM_ECE_BINS = 15


@dataclass(frozen=True)
class Scores:
    """A model's probabilities of a set of films; `labels` are 1 for PNEUMONIA.

    Logits rank films whose probabilities round to the same number, as 1.0.

    Raises:
        EvaluationError: lengths differ, a value is not finite or no probability, or only one
            class is there, which most figures need two of.
    """

    labels: Ints  # [N]
    probabilities: Floats  # [N]
    patient_keys: npt.NDArray[np.str_]  # [N]
    logits: Floats | None = None  # [N], in the order of the probabilities

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.probabilities) == len(self.patient_keys):
            raise EvaluationError("Labels, probabilities and patients differ in number.")
        inside = (self.probabilities >= 0) & (self.probabilities <= 1)
        if not inside.all():  # a NaN is not inside either
            raise EvaluationError(f"{int((~inside).sum())} probabilities lie outside 0..1.")
        if len(self.ranking) != len(self.labels) or not np.isfinite(self.ranking).all():
            raise EvaluationError("A logit is missing or not finite.")
        num_positive = int(self.labels.sum())
        if num_positive in (0, len(self.labels)):
            raise EvaluationError(
                f"{num_positive} of {len(self.labels)} films are PNEUMONIA: both classes needed."
            )

    @property
    def positive(self) -> npt.NDArray[np.bool_]:
        positive: npt.NDArray[np.bool_] = self.labels == 1
        return positive

    @property
    def ranking(self) -> Floats:
        """What the films are ranked by, [N]."""
        return self.probabilities if self.logits is None else self.logits

    def part(self, chosen: npt.NDArray[np.bool_]) -> "Scores":
        """Return the scores of some of the films."""
        return Scores(
            self.labels[chosen],
            self.probabilities[chosen],
            self.patient_keys[chosen],
            None if self.logits is None else self.logits[chosen],
        )

    @cached_property
    def patient_of(self) -> Ints:
        """Number of each film's patient, 0 to the number of patients less 1."""
        return np.unique(self.patient_keys, return_inverse=True)[1].astype(np.int64)

    def reads(self, threshold: float) -> npt.NDArray[np.bool_]:
        """A probability at or above the threshold reads as PNEUMONIA."""
        called: npt.NDArray[np.bool_] = self.probabilities >= threshold
        return called


@dataclass(frozen=True)
class Estimate:
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
    called, positive = scores.reads(threshold), scores.positive
    return Confusion(
        tp=int((called & positive).sum()),
        fp=int((called & ~positive).sum()),
        tn=int((~called & ~positive).sum()),
        fn=int((~called & positive).sum()),
    )


def percentile_interval(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def patient_weights(scores: Scores, num_draws: int, seed: int) -> Floats:
    """Return how often each film is in each bootstrap draw of patients, [D, N].

    Patients are drawn within their class (without, with pneumonia, or films of both), so that each
    draw has both.
    """
    patient_of = scores.patient_of
    share_positive = np.bincount(patient_of, scores.labels) / np.bincount(patient_of)
    rng = np.random.default_rng(seed)
    times = np.zeros((num_draws, len(share_positive)))
    for of_class in (
        share_positive == 0,
        share_positive == 1,
        (share_positive > 0) & (share_positive < 1),
    ):
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
    """Weight of each class at each distinct rank, ascending, [D, G]."""
    order = np.argsort(scores.ranking, kind="stable")
    ordered = scores.ranking[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    weights, positive = weights_DN[:, order], scores.labels[order] == 1
    return (
        np.add.reduceat(weights * positive, starts, axis=1),
        np.add.reduceat(weights * ~positive, starts, axis=1),
    )


def balanced_accuracy(scores: Scores, threshold: float, weights_DN: Floats) -> Floats:
    positive = scores.positive
    right = scores.reads(threshold) == positive
    sensitivity = weights_DN @ (right & positive) / (weights_DN @ positive)
    specificity = weights_DN @ (right & ~positive) / (weights_DN @ ~positive)
    mean: Floats = (sensitivity + specificity) / 2
    return mean


def brier(scores: Scores, _: float, weights_DN: Floats) -> Floats:
    mean: Floats = weights_DN @ (scores.probabilities - scores.labels) ** 2 / weights_DN.sum(1)
    return mean


def ece(scores: Scores, _: float, weights_DN: Floats) -> Floats:
    """Expected calibration error over bins that hold equally many films."""
    error: Floats = np.abs(ece_by_bin(scores, weights_DN)).sum(1)
    return error


def ece_by_bin(scores: Scores, weights_DN: Floats) -> Floats:
    """Mean probability less share of pneumonia in each bin, times the bin's share, [D, B]."""
    rows, starts = equal_mass_bins(scores.probabilities)
    gap = (scores.probabilities - scores.labels)[rows] * weights_DN[:, rows]
    by_bin: Floats = np.add.reduceat(gap, starts, axis=1) / weights_DN.sum(1, keepdims=True)
    return by_bin


def equal_mass_bins(probabilities: Floats) -> tuple[Ints, Ints]:
    """Films by ascending probability, and where each bin starts among them.

    Equal probabilities stay in one bin, so that nothing hangs on the order of the films.
    """
    rows = np.argsort(probabilities, kind="stable")
    even = np.linspace(0, len(rows), min(NUM_ECE_BINS, len(rows)) + 1).astype(np.int64)[:-1]
    ordered = probabilities[rows]
    return rows, np.unique(np.searchsorted(ordered, ordered[even]))
