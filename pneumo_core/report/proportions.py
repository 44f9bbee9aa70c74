"""The proportions of a confusion matrix, and their difference between two sets of films."""

from math import hypot

from pneumo_core.metrics.metrics import Confusion, Estimate, wilson


def proportions(c: Confusion) -> dict[str, Estimate]:
    return {
        "accuracy": wilson(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn),
        "sensitivity": wilson(c.tp, c.tp + c.fn),
        "specificity": wilson(c.tn, c.tn + c.fp),
    }


def difference(first: Estimate, second: Estimate) -> Estimate:
    """First less second, of proportions in two sets of films (Newcombe 1998, method 10)."""
    value = first.value - second.value
    below = hypot(first.value - first.ci_low, second.ci_high - second.value)
    above = hypot(first.ci_high - first.value, second.value - second.ci_low)
    return Estimate(value, value - below, value + above)
