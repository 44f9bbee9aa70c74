"""The difference of two models on the same films: its 95 % interval and its two-sided p.

The interval is MOVER's from the intervals of the two figures and their correlation over patients
(Newcombe 1998). It holds 0 where p is at least 5 %, and only there:

- AUROC, average precision, Brier score, balanced accuracy: p is the level at which the interval
  reaches 0.
- Shares: p is McNemar's exact one. Where the interval contradicts it, its bound on the side of 0 is
  that of the exact test.

Anything else: bootstrap draws of patients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from pneumo_core.arrays import Bools, Floats, Ints
from pneumo_core.metrics.estimates import difference
from pneumo_core.metrics.influence import Influence
from pneumo_core.metrics.intervals import TAIL, on_logit_scale, shares
from pneumo_core.metrics.metrics import CONFIDENCE, Estimate, Scores, percentile_interval

ROUNDING = 1e-12
SMALLEST_P = 1e-12


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


def of_figures(a: Influence, b: Influence, scores: Scores) -> Difference:
    """Return the difference of two figures in 0..1 on the same films."""
    value = a.value - b.value if abs(a.value - b.value) > ROUNDING else 0.0
    if value == 0 and a.half_width() > 0 and np.allclose(a.by_patient, b.by_patient, 0, ROUNDING):
        return Difference(0.0, 0.0, 0.0, 1.0)  # the two say the same of every film
    alike = correlation(a.by_patient, b.by_patient)

    def interval(p: float) -> Estimate:
        of_a, of_b = (on_logit_scale(each, scores, 1 - p) for each in (a, b))
        return difference(of_a, of_b, alike).figure()

    found = interval(1 - CONFIDENCE)
    return Difference(value, found.ci_low, found.ci_high, p_of(interval, value))


def p_of(interval: Callable[[float], Estimate], value: float) -> float:
    """Return the p whose interval just reaches 0; never below `SMALLEST_P`.

    Args:
        interval: the interval of a difference that has this value, by 1 less its confidence.
    """

    def bound(log_p: float) -> float:
        found = interval(float(np.exp(log_p)))
        return found.ci_low if value > 0 else -found.ci_high

    at_5_percent, smallest = np.log(1 - CONFIDENCE), np.log(SMALLEST_P)
    if value == 0:
        return 1.0
    if bound(at_5_percent) <= 0:  # so that p and the 95 % interval agree, whatever its course
        return float(np.exp(brentq(bound, at_5_percent, np.log(1 - SMALLEST_P))))
    if bound(smallest) > 0:
        return SMALLEST_P
    return float(np.exp(brentq(bound, smallest, at_5_percent)))


def correlation(a: Floats, b: Floats) -> float:
    """Return how alike the patients' parts are, -1 to 1; 0 where one has none."""
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / size if size > 0 else 0.0


def of_shares(a_N: Bools, b_N: Bools, among_N: Bools, scores: Scores) -> Difference:
    """Return the difference of the shares of hits of a and of b among the same films."""
    patient_of = scores.patient_of[among_N]
    surplus_a, surplus_b = (
        np.bincount(patient_of, hits_N[among_N] - hits_N[among_N].mean()).astype(np.float64)
        for hits_N in (a_N, b_N)
    )
    a, b = (shares(hits_N[None], among_N, scores) for hits_N in (a_N, b_N))
    found = difference(a, b, correlation(surplus_a, surplus_b)).figure()
    net_K = _net_gains(a_N & among_N, b_N & among_N, scores)
    p = sign_test(net_K)
    low, high = found.ci_low, found.ci_high
    if (low > 0 or high < 0) != (p < 1 - CONFIDENCE):
        exact = _exact_bound(net_K) / int(among_N.sum())
        low, high = (exact, high) if found.value > 0 else (low, exact)
    return Difference(found.value, low, high, p)


def mcnemar(right_a_N: Bools, right_b_N: Bools, scores: Scores) -> float:
    """Return the exact two-sided p of one model being right more often (`sign_test`)."""
    return sign_test(_net_gains(right_a_N, right_b_N, scores))


def _net_gains(right_a_N: Bools, right_b_N: Bools, scores: Scores) -> Ints:
    """Return the films that a alone reads right less those that b alone does, by patient."""
    gain_N = right_a_N.astype(np.int64) - right_b_N
    return np.rint(np.bincount(scores.patient_of, gain_N)).astype(np.int64)


def sign_test(net_K: Ints) -> float:
    """Exact two-sided p of the sum of the patients' net gains.

    Were the two models alike, each patient's gain of films would as well have been a loss of as
    many: all ways to choose the signs are counted. With one film a patient it is McNemar's test.
    """
    return min(1.0, 2 * _chance_beyond(net_K, 0.5))


def _chance_beyond(net_K: Ints, share: float) -> float:
    """Return the chance of at least this sum, if each patient gains with this chance or loses."""
    sizes = np.abs(net_K)
    total, reached = int(sizes.sum()), abs(int(net_K.sum()))
    chance = np.zeros(2 * total + 1)  # of each sum, from -total to total
    chance[total] = 1
    for size in sizes[sizes > 0]:
        chance = share * np.roll(chance, size) + (1 - share) * np.roll(chance, -size)
    return float(chance[total + reached :].sum())


def _exact_bound(net_K: Ints) -> float:
    """Return the bound on the side of 0 of the sum of net gains, by inverting `sign_test`.

    The films that both models read alike count as fixed (Clopper & Pearson 1934).
    """
    share = brentq(lambda share: _chance_beyond(net_K, share) - TAIL, 0, 1)
    return float(np.sign(net_K.sum()) * (2 * share - 1) * np.abs(net_K).sum())
