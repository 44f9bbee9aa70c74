"""Checks of the shortcut audit: does anything tell the label besides the disease?

A check compares a figure with a limit, by the figure's whole 95 % interval: it passes where the
interval lies within the limit, fails where it lies beyond, and stays open where it includes the
limit or where the figure cannot be computed.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pneumo_core.arrays import Bools, Floats, Images, Ints
from pneumo_core.data import manifest
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.differences import of_figures
from pneumo_core.metrics.influence import Influence
from pneumo_core.metrics.intervals import shares
from pneumo_core.metrics.metrics import Estimate, Scores, patient_weights, percentile_interval
from pneumo_core.params import AuditParams

Subject = Literal["data", "augmentation", "model"]
Predict = Callable[[Images], Floats]  # films [N, H, W] to probabilities of PNEUMONIA, [N]


@dataclass(frozen=True)
class Cohort:
    """Labels and patients of the audited films; label 1 is PNEUMONIA."""

    labels: Ints  # [N]
    patients: npt.NDArray[np.str_]  # [N]

    @classmethod
    def of(cls, films: pd.DataFrame) -> "Cohort":
        """Return the cohort of films with `label` and `patient_group`."""
        labels = manifest.label_indices(films).to_numpy(np.int64)
        return cls(labels, films["patient_group"].to_numpy(np.str_))

    def scores(self, probabilities: Floats) -> Scores:
        return Scores(self.labels, probabilities, self.patients)

    def draws(self, limits: AuditParams) -> Floats:
        """Return the films' weights in each bootstrap draw, [D, N].

        The same films get the same draws, so that differences are paired.
        """
        scores = self.scores(np.zeros(len(self.labels)))
        return patient_weights(scores, limits.num_draws, limits.seed)


@dataclass(frozen=True)
class Check:
    """A figure with its limit; `figure` is None where it cannot be computed."""

    name: str
    subject: Subject  # `data` informs: no recipe and no model can change it
    what: str  # the figure in words
    limit: float
    figure: Estimate | None = None
    two_sided: bool = False  # the limit holds for the size of the figure, whatever its sign
    unit: Literal["", "%"] = ""
    detail: dict[str, Any] = field(default_factory=dict)
    reason: str = ""  # why there is no figure

    def measured(self, measure: Callable[[], tuple[Estimate, dict[str, Any]]]) -> "Check":
        """Return this check with figure and detail; with the reason for an EvaluationError."""
        try:
            figure, detail = measure()
        except EvaluationError as error:
            return replace(self, reason=str(error))
        return replace(self, figure=figure, detail=detail)

    @property
    def passed(self) -> bool | None:
        """None: the interval includes the limit, or there is no figure."""
        if self.figure is None:
            return None
        low, high = self.figure.ci_low, self.figure.ci_high
        if high <= self.limit and (not self.two_sided or low >= -self.limit):
            return True
        if low > self.limit or (self.two_sided and high < -self.limit):
            return False
        return None

    def explain(self) -> str:
        def show(number: float) -> str:
            return f"{100 * number:.1f}" if self.unit == "%" else f"{number:.3f}"

        unit = self.unit and f" {self.unit}"
        limit = f"limit {'±' if self.two_sided else ''}{show(self.limit)}{unit}"
        if self.figure is None:
            return f"{self.what}: not computed; {limit}. {self.reason}"
        verdict = {True: "within it", False: "BEYOND it", None: "too few films to decide"}
        interval = f"[{show(self.figure.ci_low)}, {show(self.figure.ci_high)}]"
        value = f"{show(self.figure.value)}{unit}"
        return f"{self.what}: {value} {interval}; {limit}: {verdict[self.passed]}."

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed, "explanation": self.explain()}


def estimate(statistic: Callable[[Floats], Floats], draws_DN: Floats) -> Estimate:
    """Return a statistic of all films with its bootstrap interval.

    Args:
        statistic: of weights of the films, [D, N] to [D].
    """
    whole = np.ones((1, draws_DN.shape[1]))
    return Estimate(float(statistic(whole)[0]), *percentile_interval(statistic(draws_DN)))


def estimate_mean(values: Floats, draws_DN: Floats) -> Estimate:
    return estimate(lambda weights: weights @ values / weights.sum(1), draws_DN)


def estimate_share(hits_RN: Bools, cohort: Cohort) -> Estimate:
    """Return the share of hits among R readings of each film, with its interval over patients.

    0 of 20 films gives [0, 0.16], as `intervals.shares` has it.
    """
    num_readings, num_films = hits_RN.shape
    readings = Scores(
        np.tile(cohort.labels, num_readings),
        np.zeros(num_readings * num_films),
        np.tile(cohort.patients, num_readings),
    )
    return shares(hits_RN.reshape(1, -1), np.ones(hits_RN.size, bool), readings).figure()


def auroc_gap(a: Influence, b: Influence, scores: Scores) -> Estimate:
    """Return the AUROC a less the AUROC b, with its paired interval over patients."""
    found = of_figures(a, b, scores)
    return Estimate(found.value, found.ci_low, found.ci_high)
