"""What each patient adds to a figure: from that its variance, and how well that is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit
from scipy.stats import rankdata

from pneumo_core.arrays import Floats
from pneumo_core.metrics.metrics import CONFIDENCE, Scores

NO_VARIANCE = 1e-15  # below what rounding leaves
BLOCK_SIZE = 1 << 22  # weights at a time, 32 MB

Statistic = Callable[[Scores, float, Floats], Floats]  # of `metrics.py`


@dataclass(frozen=True)
class Influence:
    value: float
    by_patient: Floats  # [K]; the sum of squares is the variance

    @property
    def variance(self) -> float:
        return float((self.by_patient**2).sum())

    @property
    def num_degrees(self) -> float:
        """Degrees of freedom of the variance (Satterthwaite 1946): few if few patients vary."""
        excess = float((self.by_patient**4).sum()) - self.variance**2 / len(self.by_patient)
        return 2 * self.variance**2 / max(excess, 1e-9 * self.variance**2)

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        """Return half the width of the interval by Student's t; 0 where nothing varies."""
        if self.variance < NO_VARIANCE:
            return 0.0
        return float(stdtrit(self.num_degrees, (1 + confidence) / 2) * self.variance**0.5)


def mean_influence(figures: Sequence[Influence]) -> Influence:
    """Return the influence on the mean of several figures of the same films."""
    return Influence(
        float(np.mean([figure.value for figure in figures])),
        np.mean([figure.by_patient for figure in figures], axis=0),
    )


def of_auroc(scores: Scores) -> Influence:
    """DeLong, DeLong & Clarke-Pearson (1988), with the placements summed over patients (Obuchowski
    1997), which with one film each is DeLong's own variance.

    The placement of a film is the share of the other class that it is on the right side of.
    """
    positive, p = scores.positive, scores.ranking
    ranks = rankdata(p)
    placement = np.empty_like(p)
    placement[positive] = (ranks[positive] - rankdata(p[positive])) / (~positive).sum()
    placement[~positive] = 1 - (ranks[~positive] - rankdata(p[~positive])) / positive.sum()
    value = float(placement[positive].mean())
    deviation = placement - value
    for films in (positive, ~positive):
        num_patients = len(np.unique(scores.patient_of[films]))
        deviation[films] *= np.sqrt(num_patients / max(num_patients - 1, 1)) / films.sum()
    return Influence(value, np.bincount(scores.patient_of, deviation).astype(np.float64))


def jackknife(statistic: Statistic, scores: Scores, threshold: float) -> Influence:
    """Return the influence of leaving each patient out, the rest of the class weighted up.

    So the class sizes stay as they are; each class needs two patients.
    """
    num_films, num_patients = len(scores.labels), int(scores.patient_of.max()) + 1
    without = []
    for first in range(0, num_patients, block := max(1, BLOCK_SIZE // num_films)):
        left_out = np.arange(first, min(first + block, num_patients))
        left_KN = (left_out[:, None] != scores.patient_of).astype(float)
        for films in (scores.positive, ~scores.positive):
            left_KN[:, films] *= films.sum() / left_KN[:, films].sum(1, keepdims=True)
        without.append(statistic(scores, threshold, left_KN))
    value = float(statistic(scores, threshold, np.ones((1, num_films)))[0])
    return Influence(value, np.concatenate(without) - value)
