"""What decisions are worth where pneumonia is as common as it is, not as in the test set.

Sensitivity and specificity carry over to another prevalence and bring their intervals; predictive
values, counts of patients and net benefit follow from them.
"""

from dataclasses import asdict

import numpy as np
from scipy.special import expit, logit

from pneumo_core.arrays import Floats
from pneumo_core.atomic import JsonDict
from pneumo_core.metrics.estimates import Estimates, ratio, weighted_sum
from pneumo_core.metrics.intervals import shares
from pneumo_core.metrics.metrics import Scores

PATIENTS = 1000
CURVE_THRESHOLDS = np.arange(1, 100, 2) / 100


def predictive_values(scores: Scores, threshold: float, prevalence: float) -> JsonDict:
    """Return `ppv` and `npv`, null where no film is read so, and the counts `per_1000`."""
    called = scores.reads(threshold)[None]
    sensitivity = shares(called, scores.positive, scores)
    specificity = shares(~called, ~scores.positive, scores)
    negative_to_positive = (1 - prevalence) / prevalence
    return {
        "prevalence": prevalence,
        "ppv": _share_right(specificity.complement(), sensitivity, negative_to_positive),
        "npv": _share_right(sensitivity.complement(), specificity, 1 / negative_to_positive),
        "per_1000": _counts(sensitivity, specificity, prevalence),
    }


def _share_right(wrong: Estimates, right: Estimates, odds: float) -> JsonDict | None:
    """Return the share of right ones among films read alike: 1 / (1 + odds * wrong / right)."""
    if wrong.value[0] == right.value[0] == 0:
        return None
    return asdict(ratio(wrong, right).falling(lambda r: 1 / (1 + odds * r)).figure())


def _counts(sensitivity: Estimates, specificity: Estimates, prevalence: float) -> JsonDict:
    """Return counts of 1,000 patients, not rounded, so that their sums are exact."""
    positive, negative = PATIENTS * prevalence, PATIENTS * (1 - prevalence)

    def scaled(share: Estimates, count: float) -> JsonDict:
        return asdict(share.rising(lambda part: count * part).figure())

    right = weighted_sum(sensitivity, specificity, positive, negative)
    return {
        "positive": positive,
        "found": scaled(sensitivity, positive),
        "missed": scaled(sensitivity.complement(), positive),
        "negative": negative,
        "cleared": scaled(specificity, negative),
        "false_alarms": scaled(specificity.complement(), negative),
        "right": asdict(right.figure()),
    }


def at_prevalence(probabilities: Floats, known: float, other: float) -> Floats:
    """Return probabilities that hold at one prevalence, moved to another (Saerens et al. 2002)."""
    moved: Floats = expit(logit(probabilities) + logit(other) - logit(known))
    return moved


def decision_curve(scores: Scores, known: float, prevalence: float) -> JsonDict:
    """Net benefit of acting on a probability of at least `threshold` (Vickers & Elkin 2006).

    Args:
        known: the prevalence at which the probabilities hold.
    """
    # The threshold is carried to where the probabilities hold, instead of all of them from there.
    called = scores.probabilities >= at_prevalence(CURVE_THRESHOLDS, prevalence, known)[:, None]
    sensitivity = shares(called, scores.positive, scores)
    specificity = shares(~called, ~scores.positive, scores)
    harm = (1 - prevalence) * CURVE_THRESHOLDS / (1 - CURVE_THRESHOLDS)
    gain = weighted_sum(sensitivity, specificity, prevalence, harm)
    return {
        "prevalence": prevalence,
        "threshold": CURVE_THRESHOLDS.tolist(),
        "net_benefit": (gain.value - harm).tolist(),
        "ci_low": (gain.low - harm).tolist(),
        "ci_high": (gain.high - harm).tolist(),
        "treat_all": (prevalence - harm).tolist(),
    }
