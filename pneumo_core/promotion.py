"""May this model take the place of the one in use? A decision with its reasons, and no action.

Of challengers that are just as good as the champion at most one in twenty is promoted: a bare
comparison would take half (`benchmarks/promotion_rate.py`).
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pneumo_core.gates import (
    Challenger,
    Data,
    Gate,
    Reading,
    at_operating_point,
    audit_gates,
    evidence_gates,
    figure_gates,
)
from pneumo_core.metrics import Floats, Scores, auroc, balanced_accuracy, patient_weights
from pneumo_core.paired import Difference
from pneumo_core.policy import FigureName, Policy

Outcome = Literal["promoted", "refused", "already champion"]


@dataclass(frozen=True)
class Champion:
    bundle_sha256: str
    reading: Reading | None  # on the challenger's films
    obstacle: str | None = None  # why there is none


@dataclass(frozen=True)
class Decision:
    outcome: Outcome
    gates: tuple[Gate, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        failed = tuple(str(gate) for gate in self.gates if not gate.passed)
        return failed or (f"all {len(self.gates)} gates hold",)

    def as_dict(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "gates": [asdict(gate) for gate in self.gates],
        }


def choose_challenger(on_validation: Mapping[str, Mapping[str, Any]], policy: Policy) -> str | None:
    """The cell with the highest figure that the policy chooses by; None where no cell has it.

    Args:
        on_validation: the content of each cell's `metrics.json`.
    """
    values = {}
    for cell, metrics in sorted(on_validation.items()):
        at_point = at_operating_point(metrics, policy.operating_point)
        figure = {**metrics, **at_point}.get(policy.choose_by)
        if at_point and figure:
            values[cell] = figure["value"]
    return max(values, key=values.__getitem__, default=None)


def decide(
    challenger: Challenger, data: Data, champion: Champion | None, policy: Policy
) -> Decision:
    """The model's own gates first; where they hold, it is compared with the champion."""
    gates = evidence_gates(challenger, data, policy)
    if challenger.metrics is not None:
        gates += figure_gates(challenger.metrics, policy)
    gates += audit_gates(challenger.checks, policy)
    if champion is not None and all(gate.passed for gate in gates):
        if champion.bundle_sha256 == challenger.bundle_sha256:
            return Decision("already champion", tuple(gates))
        gates += comparison_gates(challenger.reading, champion, policy)
    promoted = all(gate.passed for gate in gates)
    return Decision("promoted" if promoted else "refused", tuple(gates))


def comparison_gates(new: Reading | None, champion: Champion, policy: Policy) -> list[Gate]:
    """Not inferior by the policy's margins, and better beyond chance on its figure: each by the
    lower bound of the paired bootstrap's 95 % interval over patients."""
    old = champion.reading
    if new is None or old is None:
        return [Gate("champion on the same films", champion.obstacle, "scored", False)]
    if not _same_films(new.scores, old.scores):
        return [Gate("champion on the same films", "scored on others", "scored", False)]
    draws = patient_weights(new.scores, policy.num_draws, policy.seed)
    gates = []
    for name, margin in policy.margins.items():
        low = gain(name, new, old, draws).ci_low
        gates.append(
            Gate(f"gain in {name}, lower bound", low, f"at least {-margin:g}", low >= -margin)
        )
    low = gain(policy.improve, new, old, draws).ci_low
    return [*gates, Gate(f"gain in {policy.improve}, lower bound", low, "above 0", low > 0)]


def gain(name: FigureName, new: Reading, old: Reading, draws_DN: Floats) -> Difference:
    """Of a figure of the same films, new less old, in the same bootstrap draws."""
    statistic = STATISTICS[name]

    def difference(weights_DN: Floats) -> Floats:
        return statistic(new.scores, new.threshold, weights_DN) - statistic(
            old.scores, old.threshold, weights_DN
        )

    whole = np.ones((1, draws_DN.shape[1]))
    return Difference.of(float(difference(whole)[0]), difference(draws_DN))


def _same_films(new: Scores, old: Scores) -> bool:
    return np.array_equal(new.labels, old.labels) and np.array_equal(
        new.patient_keys, old.patient_keys
    )


def sensitivity(scores: Scores, threshold: float, weights_DN: Floats) -> Floats:
    ill = scores.labels == 1
    share: Floats = weights_DN @ (ill & (scores.probabilities >= threshold)) / (weights_DN @ ill)
    return share


def specificity(scores: Scores, threshold: float, weights_DN: Floats) -> Floats:
    well = scores.labels == 0
    share: Floats = weights_DN @ (well & (scores.probabilities < threshold)) / (weights_DN @ well)
    return share


STATISTICS: dict[FigureName, Callable[[Scores, float, Floats], Floats]] = {
    "auroc": auroc,
    "balanced_accuracy": balanced_accuracy,
    "sensitivity": sensitivity,
    "specificity": specificity,
}
