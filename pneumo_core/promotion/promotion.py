"""May this model take the place of the one in use? A decision with its reasons, and no action.

Of challengers that are just as good as the champion at most one in twenty is promoted: a bare
comparison would take half (`benchmarks/promotion_rate.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.measurement import mean_value
from pneumo_core.metrics.paired import Reading, compare
from pneumo_core.promotion.gates import (
    Challenger,
    Data,
    Gate,
    audit_gates,
    evidence_gates,
    external_gates,
    figure_gates,
    subgroup_gates,
)
from pneumo_core.promotion.policy import FigureName, Policy

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


def choose_challenger(
    on_validations: Mapping[str, Sequence[Mapping[str, Any]]], policy: Policy
) -> str | None:
    """The cell with the highest figure that the policy chooses by, in the mean of the validations;
    None where no cell has it on all of them.

    Args:
        on_validations: the contents of each cell's `metrics.json`, one a validation.
    """
    means = {
        cell: mean
        for cell, validations in sorted(on_validations.items())
        if (mean := mean_value(validations, policy.choose_by, policy.operating_point)) is not None
    }
    return max(means, key=means.__getitem__, default=None)


def decide(
    challenger: Challenger, data: Data, champion: Champion | None, policy: Policy
) -> Decision:
    """The model's own gates first; where they hold, it is compared with the champion."""
    gates = evidence_gates(challenger, data, policy)
    if challenger.metrics is not None:
        gates += figure_gates(challenger.metrics, policy)
    gates += subgroup_gates(challenger.subgroups, policy)
    gates += external_gates(challenger, policy)
    gates += audit_gates(challenger.checks, policy)
    if champion is not None and all(gate.passed for gate in gates):
        if champion.bundle_sha256 == challenger.bundle_sha256:
            return Decision("already champion", tuple(gates))
        gates += comparison_gates(challenger.reading, champion, policy)
    promoted = all(gate.passed for gate in gates)
    return Decision("promoted" if promoted else "refused", tuple(gates))


def comparison_gates(new: Reading | None, champion: Champion, policy: Policy) -> list[Gate]:
    """Return gates that ask: not inferior by the margins, and better on one figure: each by the
    lower bound of the 95 % interval of the paired difference (`paired.py`)."""
    name, old = "champion on the same films", champion.reading
    if new is None or old is None:
        return [Gate(name, champion.obstacle, "scored", False)]
    try:
        found = compare({"challenger": new, "champion": old})
    except EvaluationError as error:
        return [Gate(name, str(error), "scored", False)]
    (gains,) = found["pairs"]

    def gate(figure: FigureName, bound: float, asked: str, strictly: bool = False) -> Gate:
        low = gains[figure]["ci_low"]
        passed = low > bound if strictly else low >= bound
        return Gate(f"gain in {figure}, lower bound", low, asked, passed)

    return [
        *(gate(figure, -m, f"at least {-m:g}") for figure, m in policy.margins.items()),
        gate(policy.improve, 0, "above 0", strictly=True),
    ]
