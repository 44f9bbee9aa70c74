"""Figures with their 95 % intervals, over patients: films of one patient are alike.

- Shares: Wilson's interval at the *effective* number of films, which is the number of films less
  the design effect of patients with several (Rao & Scott 1992). With one film a patient it is
  Wilson's own.
- AUROC, average precision, Brier score: Student's t on the logit scale, from what each patient adds
  (`influence.py`). Near 0 and 1 few patients make up the variance, and the normal distribution
  would be too narrow.
- Sums and ratios: from the intervals of the two figures (`estimates.py`).
- Calibration error: by scaling the gaps of the bins, see `ece`.

All are of test sets with as many films of each class as this one has.
"""

import numpy as np
from scipy.special import expit, logit

from pneumo_core.arrays import Bools, Floats, Ints
from pneumo_core.metrics import metrics
from pneumo_core.metrics.estimates import Estimates, ratio, weighted_sum, wilson_interval
from pneumo_core.metrics.influence import Influence, jackknife, of_auroc
from pneumo_core.metrics.metrics import CONFIDENCE, Estimate, Scores, patient_weights

TAIL = (1 - CONFIDENCE) / 2
SCALES = np.linspace(0, 3, 61)


def figures(scores: Scores, threshold: float, num_draws: int, seed: int) -> dict[str, Estimate]:
    """Return all figures of `metrics.json`, by name."""
    return at_threshold(scores, threshold) | {
        "auroc": auroc(scores),
        "average_precision": average_precision(scores),
        "brier": brier(scores),
        "ece": ece(scores, patient_weights(scores, num_draws, seed)),
    }


def at_threshold(scores: Scores, threshold: float) -> dict[str, Estimate]:
    """Return the figures that follow from a threshold."""
    called, positive = scores.reads(threshold), scores.positive
    sensitivity = shares(called[None], positive, scores)
    specificity = shares(~called[None], ~positive, scores)
    negative_to_positive = (~positive).sum() / positive.sum()
    called_or_positive = specificity.complement().rising(lambda fpr: 1 + negative_to_positive * fpr)
    overlap = ratio(sensitivity, called_or_positive)  # of called and positive: Jaccard's
    return {
        "accuracy": shares((called == positive)[None], np.ones_like(positive), scores).figure(),
        "balanced_accuracy": weighted_sum(sensitivity, specificity, 0.5, 0.5).figure(),
        "sensitivity": sensitivity.figure(),
        "specificity": specificity.figure(),
        "f1": overlap.rising(lambda share: 2 * share / (1 + share)).figure(),
        "fnr": sensitivity.complement().figure(),
        "fpr": specificity.complement().figure(),
    }


def shares(hits_TN: Bools, among_N: Bools, scores: Scores) -> Estimates:
    """Return the share of hits among some of the films, for each of T ways to hit."""
    return wilson_interval(*effective_shares(hits_TN, among_N, scores))


def effective_shares(hits_TN: Bools, among_N: Bools, scores: Scores) -> tuple[Floats, Floats]:
    """Return the shares and the effective numbers of films, [T].

    The design effect of a few hits is mostly chance, and of none it is not known. So half a hit is
    added as if the films of each patient were all the same (Kish 1965).
    """
    patients, patient_of = np.unique(scores.patient_of[among_N], return_inverse=True)
    hits = hits_TN[:, among_N].astype(np.float64)
    count, value = hits.shape[1], hits.mean(1)
    surplus_TK = _sum_by_patient(hits - value[:, None], patient_of, len(patients))
    all_alike = (np.bincount(patient_of) ** 2).sum() / count
    design_effect = ((surplus_TK**2).sum(1) + all_alike / 2) / (count * value * (1 - value) + 0.5)
    return value, count / design_effect


def auroc(scores: Scores) -> Estimate:
    return on_logit_scale(of_auroc(scores), scores).figure()


def average_precision(scores: Scores) -> Estimate:
    return on_logit_scale(jackknife(metrics.average_precision, scores, 0), scores).figure()


def brier(scores: Scores) -> Estimate:
    return on_logit_scale(jackknife(metrics.brier, scores, 0), scores).figure()


def on_logit_scale(found: Influence, scores: Scores, confidence: float = CONFIDENCE) -> Estimates:
    """A figure in 0..1; where nothing varies it is taken as a share of the rarer class's films."""
    value, half_width = np.array([found.value]), found.half_width(confidence)
    if not 0 < found.value < 1 or half_width == 0:
        num_films = min(_num_apart(scores, among) for among in (scores.positive, ~scores.positive))
        return wilson_interval(value, num_films, confidence)
    width = half_width / (value * (1 - value))
    return Estimates(value, expit(logit(value) - width), expit(logit(value) + width))


def ece(scores: Scores, weights_DN: Floats) -> Estimate:
    """The error over equal-mass bins, and the interval of the true one.

    Chance alone makes the error of a sample larger than the true one, so its bootstrap draws lie
    too high. Here the gaps of the bins are scaled until the error that they show under the draws'
    noise is as large as the one that was found in 2.5 % of the draws, from either side.
    """
    gap_B = metrics.ece_by_bin(scores, np.ones((1, len(scores.labels))))[0]
    noise_DB = metrics.ece_by_bin(scores, weights_DN) - gap_B
    value = float(np.abs(gap_B).sum())
    shown_SD = np.abs(SCALES[:, None, None] * gap_B + noise_DB).sum(2)
    at_least_S = np.maximum.accumulate((shown_SD >= value).mean(1))
    at_most_S = np.minimum.accumulate((shown_SD <= value).mean(1))
    low = float(np.interp(TAIL, at_least_S, SCALES)) if at_least_S[0] < TAIL else 0.0
    high = float(np.interp(-TAIL, -at_most_S, SCALES)) if at_most_S[0] > TAIL else 0.0
    return Estimate(value, min(low, 1.0) * value, max(high, 1.0) * value)


def _num_apart(scores: Scores, among_N: Bools) -> float:
    """Return the effective number of films if those of a patient were the same (Kish 1965)."""
    sizes = np.bincount(scores.patient_of[among_N])
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def _sum_by_patient(values_TN: Floats, patient_of: Ints, num_patients: int) -> Floats:
    order = np.argsort(patient_of, kind="stable")
    starts = np.searchsorted(patient_of[order], np.arange(num_patients))
    sums: Floats = np.add.reduceat(values_TN[:, order], starts, axis=1)
    return sums
