"""Thresholds, chosen on validation and carried in the bundle."""

import numpy as np

from pneumo_core.arrays import Bools, Floats
from pneumo_core.metrics.estimates import Estimates
from pneumo_core.metrics.intervals import shares
from pneumo_core.metrics.metrics import Scores, patient_weights, percentile_interval
from pneumo_core.models.bundle import OperatingPoint
from pneumo_core.params import READING_AID, EvaluateParams


def choose_operating_points(scores: Scores, params: EvaluateParams) -> dict[str, OperatingPoint]:
    """Return the thresholds by name; the last two are absent where no threshold keeps both figures.

    - `reading_aid`: the best mean of sensitivity and specificity;
    - `screening`: the highest threshold from there down that keeps `screening_sensitivity`, with
      the lower bound of its interval at `min_screening_sensitivity`;
    - `rule_in`: the lowest threshold from there up that keeps `rule_in_specificity`, likewise.

    The best threshold of one sample jumps from film to film, so it is found in each bootstrap
    draw of the patients, and the median is taken.
    """
    candidates = _candidates(scores)
    weights = patient_weights(scores, params.num_draws, params.seed)
    best = candidates[np.argmax(_balance(scores, candidates, weights), axis=1)]
    balanced = float(np.median(best))
    points = {READING_AID: OperatingPoint(balanced, *percentile_interval(best))}
    called_CN = scores.probabilities >= candidates[:, None]
    sensitivity = shares(called_CN, scores.positive, scores)
    specificity = shares(~called_CN, ~scores.positive, scores)
    caught = _keeps(sensitivity, params.screening_sensitivity, params.min_screening_sensitivity)
    cleared = _keeps(specificity, params.rule_in_specificity, params.min_rule_in_specificity)
    if len(held := np.flatnonzero(caught & (candidates <= balanced))):
        points["screening"] = _with_interval(held[-1], sensitivity, candidates)
    if len(held := np.flatnonzero(cleared & (candidates >= balanced))):
        points["rule_in"] = _with_interval(held[0], specificity, candidates)
    return points


def _keeps(share: Estimates, value: float, low: float) -> Bools:
    keeps: Bools = (share.value >= value) & (share.low >= low)
    return keeps


def _candidates(scores: Scores) -> Floats:
    """0, then the middles between neighbouring probabilities, ascending."""
    distinct = np.unique(scores.probabilities)
    middles: Floats = np.r_[0.0, (distinct[1:] + distinct[:-1]) / 2]
    return middles


def _balance(scores: Scores, candidates: Floats, weights_DN: Floats) -> Floats:
    """Return sensitivity plus specificity, less 1, of each draw at each candidate, [D, C]."""
    order = np.argsort(scores.probabilities, kind="stable")
    below = np.searchsorted(scores.probabilities[order], candidates)
    positive = scores.labels[order] == 1
    weights = weights_DN[:, order]

    def share_below(mass_DN: Floats) -> Floats:
        sums = np.cumsum(np.pad(mass_DN, ((0, 0), (1, 0))), axis=1)
        share: Floats = sums[:, below] / sums[:, -1:]
        return share

    balance: Floats = share_below(weights * ~positive) - share_below(weights * positive)
    return balance


def _with_interval(chosen: int, share: Estimates, candidates: Floats) -> OperatingPoint:
    """The thresholds at which the share may be what it is at the chosen one (Woodruff 1952)."""
    level = share.value[chosen]
    possible = candidates[(share.low <= level) & (level <= share.high)]
    return OperatingPoint(float(candidates[chosen]), float(possible[0]), float(possible[-1]))
