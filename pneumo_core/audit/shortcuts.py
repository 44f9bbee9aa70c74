"""The shortcut audit: what tells the label without the disease, each way held against a limit.

A verdict needs evidence: within the limit is a figure whose whole interval is, beyond it likewise,
and an interval that holds the limit leaves it open.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Floats, Images, Ints
from pneumo_core.metrics.metrics import Estimate, Scores, patient_weights, percentile_interval
from pneumo_core.params import AuditParams

Subject = Literal["data", "augmentation", "model"]
Score = Callable[[Images], Floats]  # films [N, H, W] to probabilities of PNEUMONIA, [N]


@dataclass(frozen=True)
class Cohort:
    """Whose films they are; `labels` are 1 for PNEUMONIA."""

    labels: Ints  # [N]
    patients: npt.NDArray[np.str_]  # [N]

    def scores(self, probabilities: Floats) -> Scores:
        return Scores(self.labels, probabilities, self.patients)

    def draws(self, limits: AuditParams) -> Floats:
        """Bootstrap weights of the films, [D, N]; the same for the same films, so pairs stay."""
        scores = self.scores(np.zeros(len(self.labels)))
        return patient_weights(scores, limits.num_draws, limits.seed)


@dataclass(frozen=True)
class Check:
    name: str
    subject: Subject  # `data` informs: no recipe and no model can mend it
    what: str  # the figure in words
    figure: Estimate
    limit: float
    two_sided: bool = False  # the limit holds for the figure's size, whatever its sign
    unit: Literal["", "%"] = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        """None: the interval holds the limit, there are too few films to tell."""
        low, high = self.figure.ci_low, self.figure.ci_high
        if high <= self.limit and (not self.two_sided or low >= -self.limit):
            return True
        if low > self.limit or (self.two_sided and high < -self.limit):
            return False
        return None

    def explain(self) -> str:
        verdict = {True: "within it", False: "BEYOND it", None: "too few films to tell"}
        low, value, high, limit = (
            f"{100 * number:.1f}" if self.unit == "%" else f"{number:.3f}"
            for number in (self.figure.ci_low, self.figure.value, self.figure.ci_high, self.limit)
        )
        sign = "±" if self.two_sided else ""
        unit = self.unit and f" {self.unit}"
        return (
            f"{self.what}: {value}{unit} [{low}, {high}]; "
            f"limit {sign}{limit}{unit}: {verdict[self.passed]}."
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed, "explanation": self.explain()}


def estimate(statistic: Callable[[Floats], Floats], draws_DN: Floats) -> Estimate:
    """A statistic of weights of films, [D, N] to [D], of all films with its bootstrap interval."""
    whole = np.ones((1, draws_DN.shape[1]))
    return Estimate(float(statistic(whole)[0]), *percentile_interval(statistic(draws_DN)))


def estimate_mean(values: Floats, draws_DN: Floats) -> Estimate:
    return estimate(lambda weights: weights @ values / weights.sum(1), draws_DN)


@dataclass(frozen=True)
class Lint:
    label_dependent: dict[str, dict[str, Any]]  # transform to its parameters by label
    warnings: tuple[str, ...]


def lint_recipe(
    ranges_by_label: Mapping[str, Any],
    keeps_originals: bool,
    copies_per_film: Mapping[str, float],
) -> Lint:
    """What a recipe's text gives away, before any film is made.

    Args:
        ranges_by_label: dataclass instances; each field is a transform.
        copies_per_film: training films made of one film, on average, by label.
    """
    dependent: dict[str, dict[str, Any]] = {}
    for name in sorted({f.name for ranges in ranges_by_label.values() for f in fields(ranges)}):
        values = {label: getattr(ranges, name, None) for label, ranges in ranges_by_label.items()}
        first, *others = values.values()
        if any(other != first for other in others):
            dependent[name] = values
    warnings = [f"{name} depends on the label: {_listed(v)}." for name, v in dependent.items()]
    if keeps_originals and len(set(copies_per_film.values())) > 1:
        unaltered = {label: f"{min(1, 1 / n):.0%}" for label, n in copies_per_film.items()}
        warnings.append(
            f"Originals stay among unlike numbers of copies, so that being unaltered tells the "
            f"label: {_listed(unaltered)} of the training films are."
        )
    return Lint(dependent, tuple(warnings))


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{label} {value}" for label, value in values.items())
