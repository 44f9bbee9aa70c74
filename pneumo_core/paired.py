"""Differences between two models on the same films, from the same bootstrap draws of patients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pneumo_core.metrics import Floats, percentile_interval


@dataclass(frozen=True)
class Difference:
    value: float
    ci_low: float
    ci_high: float
    p: float  # two-sided; by `adjusted` one of several

    @classmethod
    def of(cls, value: float, draws_D: Floats) -> "Difference":
        """`draws_D` are the differences in the bootstrap draws; p is never below 2 / (D + 1)."""
        beyond = min(int((draws_D <= 0).sum()), int((draws_D >= 0).sum()))
        p = min(1.0, 2 * (beyond + 1) / (len(draws_D) + 1))
        return cls(value, *percentile_interval(draws_D), p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for all of them being looked at (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(factors * np.asarray(p_values)[order]).clip(max=1)
    return [float(p) for p in adjusted]


def adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """The same differences with Holm's p."""
    p_values = holm([difference.p for difference in differences])
    return [replace(d, p=p) for d, p in zip(differences, p_values, strict=True)]
