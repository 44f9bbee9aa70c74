"""Thresholds and temperature, chosen on validation and carried in the bundle."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from pneumo_core.bundle import OperatingPoint
from pneumo_core.metrics import Floats, Ints, Scores, patient_weights, percentile_interval, wilson
from pneumo_core.params import EvaluateParams


def fit_temperature(labels: Ints, logits: Floats) -> float:
    """The T of sigmoid(logit / T) with the least negative log likelihood (Guo et al. 2017)."""
    signs = np.where(labels == 1, 1.0, -1.0)

    def loss(log_t: float) -> float:
        return float(np.logaddexp(0, -signs * logits / np.exp(log_t)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def calibrated(logits: Floats, temperature: float) -> Floats:
    probabilities: Floats = expit(logits / temperature)
    return probabilities


def choose_operating_points(scores: Scores, params: EvaluateParams) -> dict[str, OperatingPoint]:
    """`reading_aid`: best mean of sensitivity and specificity. `screening`: the highest threshold
    whose sensitivity has its lower bound at the floor; absent where none has.

    The best threshold of one sample jumps from film to film, so it is found in each bootstrap
    draw of the patients, and the median is taken.
    """
    candidates = _candidates(scores)
    weights = patient_weights(scores, params.num_draws, params.seed)
    best = candidates[np.argmax(_balance(scores, candidates, weights), axis=1)]
    points = {"reading_aid": _with_interval(best)}
    screening = [
        threshold
        for threshold in candidates
        if _sensitivity_floor(scores, threshold) >= params.min_screening_sensitivity
    ]
    if screening:
        missed = 1 - float((scores.probabilities[scores.labels == 1] >= screening[-1]).mean())
        points["screening"] = OperatingPoint(
            float(screening[-1]), *_quantile_interval(scores, candidates, weights, missed)
        )
    return points


def _candidates(scores: Scores) -> Floats:
    """0, then the middles between neighbouring probabilities, ascending."""
    distinct = np.unique(scores.probabilities)
    middles: Floats = np.r_[0.0, (distinct[1:] + distinct[:-1]) / 2]
    return middles


def _balance(scores: Scores, candidates: Floats, weights_DN: Floats) -> Floats:
    """Sensitivity plus specificity of each draw at each candidate, [D, C]."""
    order = np.argsort(scores.probabilities, kind="stable")
    below = np.searchsorted(scores.probabilities[order], candidates)
    ill = scores.labels[order] == 1
    weights = weights_DN[:, order]

    def share_below(mass_DN: Floats) -> Floats:
        sums = np.cumsum(np.pad(mass_DN, ((0, 0), (1, 0))), axis=1)
        share: Floats = sums[:, below] / sums[:, -1:]
        return share

    balance: Floats = share_below(weights * ~ill) - share_below(weights * ill)
    return balance


def _with_interval(thresholds: Floats) -> OperatingPoint:
    return OperatingPoint(float(np.median(thresholds)), *percentile_interval(thresholds))


def _sensitivity_floor(scores: Scores, threshold: float) -> float:
    found = scores.probabilities[scores.labels == 1] >= threshold
    return wilson(int(found.sum()), len(found)).ci_low


def _quantile_interval(
    scores: Scores, candidates: Floats, weights_DN: Floats, quantile: float
) -> tuple[float, float]:
    """Interval of the highest candidate below which no more than this part of the ill lies."""
    ill = np.flatnonzero(scores.labels == 1)
    order = ill[np.argsort(scores.probabilities[ill], kind="stable")]
    sums = np.cumsum(weights_DN[:, order], axis=1)
    missed = sums <= quantile * sums[:, -1:] + 1e-9
    last_found = scores.probabilities[order][missed.sum(1).clip(max=len(order) - 1)]
    return percentile_interval(candidates[np.searchsorted(candidates, last_found, "right") - 1])
