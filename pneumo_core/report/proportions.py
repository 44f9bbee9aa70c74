"""The proportions of a confusion matrix, with Wilson's intervals."""

import numpy as np

from pneumo_core.metrics.estimates import Estimates, wilson_interval
from pneumo_core.metrics.metrics import Confusion, Estimate

FIGURES = ("accuracy", "sensitivity", "specificity")


def proportions(c: Confusion) -> Estimates:
    """Return `FIGURES` in their order, [3]."""
    num_films = np.array([c.tp + c.tn + c.fp + c.fn, c.tp + c.fn, c.tn + c.fp], float)
    return wilson_interval(np.array([c.tp + c.tn, c.tp, c.tn]) / num_films, num_films)


def by_name(figures: Estimates) -> dict[str, Estimate]:
    """Return the parts of `proportions`, or of a difference between two of them, by name."""
    parts = zip(*(part.tolist() for part in figures), strict=True)
    return {name: Estimate(*part) for name, part in zip(FIGURES, parts, strict=True)}
