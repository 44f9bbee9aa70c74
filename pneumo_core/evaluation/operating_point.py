"""Thresholds, chosen on validation and carried in the bundle."""

import numpy as np

from pneumo_core.arrays import Floats
from pneumo_core.metrics.estimates import Estimates
from pneumo_core.metrics.intervals import shares
from pneumo_core.metrics.metrics import Scores, patient_weights, percentile_interval
from pneumo_core.models.bundle import OperatingPoint
from pneumo_core.params import EvaluateParams


def choose_operating_points(scores: Scores, params: EvaluateParams) -> dict[str, OperatingPoint]:
    """`reading_aid`: best mean of sensitivity and specificity. `screening`: the highest threshold
    from there down whose sensitivity has its lower bound at the floor. `rule_in`: the lowest one
    from there up whose specificity has. Each of the last two is absent where no threshold reaches
    the floor.

    The best threshold of one sample jumps from film to film, so it is found in each bootstrap
    draw of the patients, and the median is taken.
    """
    candidates = _candidates(scores)
    weights = patient_weights(scores, params.num_draws, params.seed)
    best = candidates[np.argmax(_balance(scores, candidates, weights), axis=1)]
    balanced = float(np.median(best))
    points = {"reading_aid": OperatingPoint(balanced, *percentile_interval(best))}
    called_CN = scores.probabilities >= candidates[:, None]
    sensitivity = shares(called_CN, scores.ill, scores)
    specificity = shares(~called_CN, ~scores.ill, scores)
    caught = (sensitivity.low >= params.min_screening_sensitivity) & (candidates <= balanced)
    cleared = (specificity.low >= params.min_rule_in_specificity) & (candidates >= balanced)
    if len(held := np.flatnonzero(caught)):
        points["screening"] = _with_interval(held[-1], sensitivity, candidates)
    if len(held := np.flatnonzero(cleared)):
        points["rule_in"] = _with_interval(held[0], specificity, candidates)
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


def _with_interval(chosen: int, share: Estimates, candidates: Floats) -> OperatingPoint:
    """The thresholds at which the share may be what it is at the chosen one (Woodruff 1952)."""
    level = share.value[chosen]
    possible = candidates[(share.low <= level) & (level <= share.high)]
    return OperatingPoint(float(candidates[chosen]), float(possible[0]), float(possible[-1]))
