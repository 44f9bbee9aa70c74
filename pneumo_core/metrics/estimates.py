"""Intervals of shares, and of sums, ratios and differences from the intervals of their parts.

MOVER, the method of variance estimates recovery (Donner & Zou 2012): the distance from a value to
the end of its interval stands for the spread on that side, so the parts' intervals may be lopsided.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from pneumo_core.arrays import Floats
from pneumo_core.metrics.metrics import CONFIDENCE, Estimate


class Estimates(NamedTuple):
    """Several figures as arrays [T]."""

    value: Floats
    low: Floats
    high: Floats

    def figure(self) -> Estimate:
        """Return the first of them."""
        return Estimate(*(float(part[0]) for part in self))

    def complement(self) -> "Estimates":
        return Estimates(1 - self.value, 1 - self.high, 1 - self.low)

    def rising(self, function: Callable[[Floats], Floats]) -> "Estimates":
        return Estimates(*map(function, self))

    def falling(self, function: Callable[[Floats], Floats]) -> "Estimates":
        return Estimates(function(self.value), function(self.high), function(self.low))


def wilson_interval(
    value: Floats, num_films: Floats | float, confidence: float = CONFIDENCE
) -> Estimates:
    """Return Wilson's interval (1927); the number of films need not be whole."""
    z = float(ndtri((1 + confidence) / 2))
    scale = 1 + z**2 / num_films
    middle = (value + z**2 / (2 * num_films)) / scale
    half = z * np.sqrt(value * (1 - value) / num_films + (z / (2 * num_films)) ** 2) / scale
    # Rounding must not put 0 or 1 outside their intervals.
    return Estimates(value, np.clip(middle - half, 0, value), np.clip(middle + half, value, 1))


def weighted_sum(
    a: Estimates, b: Estimates, weight_a: float, weight_b: float | Floats
) -> Estimates:
    """Return the sum by MOVER, for figures of different patients and weights of at least 0."""
    value = weight_a * a.value + weight_b * b.value
    down = np.hypot(weight_a * (a.value - a.low), weight_b * (b.value - b.low))
    up = np.hypot(weight_a * (a.high - a.value), weight_b * (b.high - b.value))
    return Estimates(value, value - down, value + up)


def difference(a: Estimates, b: Estimates, alike: float) -> Estimates:
    """Return a - b by MOVER, for the same films with this correlation (Newcombe 1998)."""

    def distance(from_a: Floats, from_b: Floats) -> Floats:
        square = from_a**2 - 2 * alike * from_a * from_b + from_b**2
        return np.sqrt(np.maximum(square, 0))

    value = a.value - b.value
    down = distance(a.value - a.low, b.high - b.value)
    up = distance(a.high - a.value, b.value - b.low)
    return Estimates(value, value - down, value + up)


def ratio(a: Estimates, b: Estimates) -> Estimates:
    """Return a / b by MOVER, for figures >= 0 of different patients; infinite where b is 0."""

    def products(a_end: Floats, b_end: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the factors of r^2 and 1 in (a - r b)^2 = (a - a_end)^2 + r^2 (b - b_end)^2, and
        the root of the discriminant plus a b."""
        square, rest = b_end * (2 * b.value - b_end), a_end * (2 * a.value - a_end)
        middle = a.value * b.value
        return square, rest, middle + np.sqrt(np.maximum(middle**2 - square * rest, 0))

    _, rest, low_root = products(a.low, b.high)
    square, _, high_root = products(a.high, b.low)
    return Estimates(_divide(a.value, b.value), _divide(rest, low_root), _divide(high_root, square))


def _divide(a: Floats, b: Floats) -> Floats:
    quotient: Floats = np.divide(a, b, out=np.where(a > 0, np.inf, 0.0), where=b > 0)
    return quotient
