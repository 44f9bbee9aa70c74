"""The difference of two models on the same films: its 95 % interval and its two-sided p.

- AUROC, average precision, Brier score, balanced accuracy: Student's t from what each patient adds
  to the difference (of the AUROC: DeLong's), each model's part scaled by how much a figure can vary
  there, v (1 - v). A test at 0 and an interval that agree with each other.
- Shares: MOVER with the correlation over patients (Newcombe 1998), widened to hold 0 where
  McNemar's exact test does not reject it.
- Anything else: bootstrap draws of patients.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student

from pneumo_core.arrays import Bools, Floats
from pneumo_core.metrics.estimates import difference
from pneumo_core.metrics.influence import Influence
from pneumo_core.metrics.intervals import TAIL, on_logit_scale, shares
from pneumo_core.metrics.metrics import CONFIDENCE, Scores, percentile_interval


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
    """Return the difference of two figures in 0..1; from their intervals where one cannot vary."""
    gap = a - b
    if gap.half_width == 0 and a.half_width > 0:  # the two say the same of every film
        return Difference(gap.value, gap.value, gap.value, 1.0)
    if a.half_width == 0 or b.half_width == 0:
        found = difference(on_logit_scale(a, scores), on_logit_scale(b, scores), 0).figure()
        return Difference(found.value, found.ci_low, found.ci_high, gap.p)
    quantile = float(student.ppf(1 - TAIL, gap.num_degrees))
    low, high = (_bound(a, b, quantile, side) for side in (-1, 1))
    p = 2 * student.sf(abs(gap.value) / _spread(a, b, 0), gap.num_degrees)
    return Difference(gap.value, low, high, float(p))


def _bound(a: Influence, b: Influence, quantile: float, side: int) -> float:
    """The difference so far from the one found that this is `quantile` standard errors off."""
    value = a.value - b.value

    def surplus(distance: float) -> float:
        return distance - quantile * _spread(a, b, value + side * distance)

    farthest = 1 - side * value  # a difference of 1, either way
    if surplus(farthest) <= 0:
        return float(side)
    return value + side * float(brentq(surplus, 0, farthest))


def _spread(a: Influence, b: Influence, gap: float) -> float:
    """Standard error of the difference if it were `gap`, about the same middle."""
    middle = (a.value + b.value) / 2
    scale = []
    for figure, value in ((a, middle + gap / 2), (b, middle - gap / 2)):
        inside = min(max(value, 0.0), 1.0)
        scale.append(inside * (1 - inside) / (figure.value * (1 - figure.value)))
    return float(np.linalg.norm(scale[0] * a.by_patient - scale[1] * b.by_patient))


def of_shares(a_N: Bools, b_N: Bools, among_N: Bools, scores: Scores) -> Difference:
    """Return the difference of the shares of hits of a and of b among the same films."""
    patient_of = scores.patient_of[among_N]
    hits = [hits_N[among_N].astype(np.float64) for hits_N in (a_N, b_N)]
    surplus = [np.bincount(patient_of, each - each.mean()) for each in hits]
    size = float(np.linalg.norm(surplus[0]) * np.linalg.norm(surplus[1]))
    alike = float(surplus[0] @ surplus[1]) / size if size > 0 else 0.0
    a, b = (shares(hits_N[None], among_N, scores) for hits_N in (a_N, b_N))
    found = difference(a, b, alike).figure()
    p = mcnemar(a_N & among_N, b_N & among_N, scores)
    low, high = found.ci_low, found.ci_high
    if p >= 1 - CONFIDENCE:
        low, high = min(low, 0.0), max(high, 0.0)
    return Difference(found.value, low, high, p)


def mcnemar(right_a_N: Bools, right_b_N: Bools, scores: Scores) -> float:
    """Exact two-sided p of one model being right more often, films of a patient together.

    Were the two alike, each patient's net gain of films would as well have been a loss of as many:
    all ways to choose the signs are counted. With one film a patient it is McNemar's exact test.
    """
    gain_N = right_a_N.astype(np.int64) - right_b_N
    net_K = np.rint(np.abs(np.bincount(scores.patient_of, gain_N))).astype(np.int64)
    total = int(net_K.sum())
    chance = np.zeros(2 * total + 1)  # of each sum, from -total to total
    chance[total] = 1
    for size in net_K[net_K > 0]:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    beyond = np.abs(np.arange(-total, total + 1)) >= abs(int(gain_N.sum()))
    return float(min(1.0, chance[beyond].sum()))
