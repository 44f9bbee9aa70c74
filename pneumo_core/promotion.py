"""May this model take the place of the one in use? A decision with its reasons, and no action.

It fails closed: what is missing counts against the challenger.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pneumo_core.errors import PromotionError
from pneumo_core.metrics import Scores, auroc, patient_weights, percentile_interval
from pneumo_core.params import Section


class Policy(Section):
    """One role in the registry; a file in `mlflow/` holds it."""

    alias: str
    operating_point: str
    min_ci_low: dict[str, float]  # floors on the lower bounds of test figures
    min_test_films: int = Field(gt=0)
    num_draws: int = Field(ge=100)
    seed: int = Field(ge=0)


@dataclass(frozen=True)
class Candidate:
    """A model as it stands on the pinned test split."""

    bundle_sha256: str
    metrics: dict[str, Any] | None  # of `metrics.json`; None: never evaluated
    scores: Scores | None


@dataclass(frozen=True)
class Decision:
    promote: bool
    outcome: Literal["promoted", "refused", "already champion"]
    reasons: tuple[str, ...]


def decide(challenger: Candidate, champion: Candidate | None, policy: Policy) -> Decision:
    """Gates first, then the challenger against the champion on the same films.

    A champion is replaced only by a model whose AUROC is higher beyond chance: the lower bound of
    the paired bootstrap's 95 % interval of the difference lies above 0. So of challengers that
    are just as good, about one in forty is promoted, where a bare comparison would take half.
    """
    faults = gate_faults(challenger, policy)
    if faults:
        return Decision(False, "refused", tuple(faults))
    if champion is None:
        return Decision(True, "promoted", ("every gate holds and there was no champion",))
    if champion.bundle_sha256 == challenger.bundle_sha256:
        return Decision(False, "already champion", ("the same bundle is in use already",))
    if champion.scores is None or challenger.scores is None:
        return Decision(False, "refused", ("the champion could not be scored on the same films",))
    value, low, high = auroc_gain(challenger.scores, champion.scores, policy)
    gain = f"AUROC gain over the champion {value:+.4f} [{low:+.4f}, {high:+.4f}]"
    if low > 0:
        return Decision(True, "promoted", ("every gate holds", gain))
    return Decision(False, "refused", (f"{gain}: not beyond chance",))


def gate_faults(challenger: Candidate, policy: Policy) -> list[str]:
    """Why the challenger may not be used at all; empty if it may."""
    metrics = challenger.metrics
    if metrics is None or challenger.scores is None:
        return ["it was never evaluated on the test split"]
    faults = []
    split, num_films = metrics.get("split"), metrics.get("n", 0)
    operating_point = metrics.get("operating_point")
    if split != "test":
        faults.append(f"it was evaluated on {split}, not on test")
    if operating_point != policy.operating_point:
        faults.append(f"evaluated at {operating_point}, not at {policy.operating_point}")
    if num_films < policy.min_test_films:
        faults.append(f"{num_films} test films, {policy.min_test_films} are asked for")
    for name, floor in policy.min_ci_low.items():
        if name not in metrics:
            raise PromotionError(f"The policy names an unknown figure {name!r}.")
        low = metrics[name]["ci_low"]
        if not low >= floor:
            faults.append(f"lower bound of {name} is {low:.3f}, {floor:.3f} is asked for")
    return faults


def auroc_gain(challenger: Scores, champion: Scores, policy: Policy) -> tuple[float, float, float]:
    """Difference of AUROC on the same films, with its paired interval over patients.

    Raises:
        PromotionError: the two were not scored on the same films in the same order.
    """
    same = np.array_equal(challenger.labels, champion.labels) and np.array_equal(
        challenger.patient_keys, champion.patient_keys
    )
    if not same:
        raise PromotionError("Challenger and champion were scored on different films.")
    draws = patient_weights(challenger, policy.num_draws, policy.seed)
    whole = np.ones((1, len(challenger.labels)))
    value = auroc(challenger, 0, whole) - auroc(champion, 0, whole)
    gains = auroc(challenger, 0, draws) - auroc(champion, 0, draws)
    return float(value[0]), *percentile_interval(gains)
