"""The gates that a model must pass for a role, each with its figure.

Closed unless shown otherwise: what is missing, is not a number or is about something else does not
pass.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pneumo_core.data.leakage import VALID, verdict
from pneumo_core.evaluation.measurement import at_operating_point
from pneumo_core.metrics.paired import Reading
from pneumo_core.metrics.subgroups import num_large, worst_groups
from pneumo_core.promotion.policy import Policy

UNSURE = "too few films to tell whether it is"
MAX_DEVIATION = 1e-3  # of a probability that was computed again, perhaps on another device


@dataclass(frozen=True)
class Gate:
    name: str
    found: float | str | None  # None: missing
    asked: str
    passed: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.shown()}, asked for: {self.asked}"

    def shown(self) -> str:
        return "missing" if self.found is None else _short(self.found)


@dataclass(frozen=True)
class Data:
    """The films as they stand now."""

    certificate: Mapping[str, Any] | None
    data_sha256: str  # as a certificate has it
    manifest_sha256: str  # of the file
    origins: tuple[str, ...]  # kinds of source


@dataclass(frozen=True)
class Challenger:
    """A model with all that is known of it; what is None is not there."""

    bundle_sha256: str
    manifest_sha256: str  # of the file that it was trained on
    metrics: Mapping[str, Any] | None  # the content of `metrics.json` on test
    reading: Reading | None  # of the films of `predictions.csv`, at the role's operating point
    subgroups: Mapping[str, Any]  # of this reading, as `subgroups.py` has them
    test_split_hash: str | None  # of these films, as a certificate has it
    deviation: float | None  # of some of these probabilities from what the bundle now says
    checks: Sequence[Mapping[str, Any]]  # of the shortcut audit
    test_looks: int | None  # models scored on these test films, this one too, by the ledger
    # By name: `set.json`, and as `metrics` the model's own figures there
    external: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    withdrawn: str | None = None  # when and why it was taken out of the role before


def evidence_gates(challenger: Challenger, data: Data, policy: Policy) -> list[Gate]:
    """Return gates on the evidence: figures are there, of this model and of these films."""
    metrics, reading = challenger.metrics, challenger.reading
    if metrics is None or reading is None:
        return [Gate("evaluation on test", None, f"at {policy.operating_point}", False)]
    certificate = data.certificate or {}
    num_films, withdrawn = len(reading.scores.labels), challenger.withdrawn
    at_point = at_operating_point(metrics, policy.operating_point)
    gates = [
        _same("split of the figures", metrics.get("split"), "test"),
        _same("threshold of the figures", at_point.get("threshold"), reading.threshold),
        _same("films of the figures", metrics.get("n"), num_films),
        _at_least("number of films", num_films, policy.min_test_films),
        _same("films scored", challenger.test_split_hash, certificate.get("test_split_hash")),
        _at_most("probabilities computed again, off by", challenger.deviation, MAX_DEVIATION),
        _same("leakage certificate", _state(data.certificate), VALID),
        _same("data certified", certificate.get("data_sha256"), data.data_sha256),
        _same("data trained on", challenger.manifest_sha256, data.manifest_sha256),
        Gate("withdrawn before", withdrawn or "no", "no", withdrawn is None),
    ]
    if policy.max_test_looks is not None:
        looks = challenger.test_looks
        gates.append(_at_most("models scored on this test split", looks, policy.max_test_looks))
    if policy.drawn_films_only:
        gates.append(_same("kinds of source", ", ".join(data.origins), "phantom"))
    return gates


def figure_gates(metrics: Mapping[str, Any], policy: Policy) -> list[Gate]:
    """Return floors and ceilings, each on the unfavourable bound of a 95 % interval.

    Calibration counts at the test films' own share of pneumonia: another share than validation's is
    no fault of the model.
    """
    figures = {**metrics, **at_operating_point(metrics, policy.operating_point)}
    calibrated = (metrics.get("calibration") or {}).get("at_own_prevalence") or {}
    return [
        _at_least(f"{name}, lower bound", _end(figures.get(name), "ci_low"), floor)
        for name, floor in policy.min_ci_low.model_dump().items()
    ] + [
        _at_most(
            f"{name} at the films' own prevalence, upper bound",
            _end(calibrated.get(name), "ci_high"),
            ceiling,
        )
        for name, ceiling in policy.max_ci_high.model_dump().items()
    ]


def _end(figure: Any, name: str) -> Any:
    """Return one end of a figure's interval; None where it is missing."""
    return figure.get(name) if isinstance(figure, Mapping) else None


def subgroup_gates(subgroups: Mapping[str, Any], policy: Policy) -> list[Gate]:
    """Return the same floors for the worst group of all dimensions, and of each that is named."""
    gates = []
    worst = worst_groups(subgroups)
    for name, floor in policy.worst_group_min_ci_low.items():
        found = worst.get(name, {})
        group = f"{found['dimension']} {found['group']}" if found else "no group is large enough"
        gates.append(_at_least(f"{name} of the worst group ({group})", found.get("ci_low"), floor))
    for dimension, floors in policy.group_min_ci_low.items():
        groups = subgroups.get(dimension, {})
        worst = worst_groups({dimension: groups})
        for name, floor in floors.items():
            found = worst.get(name, {}) if num_large(groups, name) > 1 else {}
            group = f"the worst is {found['group']}" if found else "less than two are large enough"
            what = f"{name} of the groups by {dimension} ({group})"
            gates.append(_at_least(what, found.get("ci_low"), floor))
    return gates


def external_gates(challenger: Challenger, policy: Policy) -> list[Gate]:
    """Return floors on the lower bounds of external sets that are there, external and of this
    model."""
    gates = []
    for name, floors in policy.external_min_ci_low.items():
        found = challenger.external.get(name)
        if found is None:
            gates.append(Gate(f"external set {name}", None, "scored", False))
            continue
        gates.append(
            _same(f"external set {name}: model", found.get("bundle"), challenger.bundle_sha256)
        )
        shares = "none" if found.get("is_external") is True else "some"
        gates.append(_same(f"external set {name}: films or patients of our own", shares, "none"))
        metrics = found["metrics"]
        figures = {**metrics, **at_operating_point(metrics, policy.operating_point)}
        gates += [
            _at_least(
                f"external set {name}: {figure}, lower bound",
                _end(figures.get(figure), "ci_low"),
                floor,
            )
            for figure, floor in floors.items()
        ]
    return gates


def audit_gates(checks: Sequence[Mapping[str, Any]], policy: Policy) -> list[Gate]:
    """Return a gate for every check of the subjects that the policy names; none is a refusal."""
    gates = []
    for subject in policy.audited:
        of_subject = [check for check in checks if check["subject"] == subject]
        if not of_subject:
            gates.append(Gate(f"audit of the {subject}", None, "within its limits", False))
        for check in of_subject:
            gates.append(_within(check))
    return gates


def _within(check: Mapping[str, Any]) -> Gate:
    """Return a gate that passes when the check did: its whole interval is within the limit."""
    low, high = (_number(_end(check["figure"], name)) for name in ("ci_low", "ci_high"))
    bound = high
    if check["two_sided"] and low is not None and high is not None:
        bound = max(-low, high)
    gate = _at_most(f"audit: {check['name']}, upper bound", bound, check["limit"])
    asked = gate.asked if check["passed"] is not None else f"{gate.asked} ({UNSURE})"
    return replace(gate, asked=asked, passed=gate.passed and check["passed"] is True)


def _state(certificate: Mapping[str, Any] | None) -> str | None:
    """Return the certificate's verdict, valid only if `state` and `valid` agree."""
    if certificate is None:
        return None
    found = verdict(certificate)
    contradicted = found == VALID and certificate.get("valid") is not True
    return f"state {found}, but not marked as valid" if contradicted else found


def _at_least(name: str, found: Any, floor: float) -> Gate:
    figure = _number(found)
    return Gate(name, figure, f"at least {floor:g}", figure is not None and figure >= floor)


def _at_most(name: str, found: Any, ceiling: float) -> Gate:
    figure = _number(found)
    return Gate(name, figure, f"at most {ceiling:g}", figure is not None and figure <= ceiling)


def _same(name: str, found: Any, expected: Any) -> Gate:
    """Return a gate on two values, which must both be there."""
    known = found if isinstance(found, str) else _number(found)
    passed = known is not None and expected is not None and known == expected
    return Gate(name, known, _short(expected), passed)


def _number(value: Any) -> float | None:
    """Return a finite number; None for anything else."""
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def _short(value: Any) -> str:
    """A hash by its beginning, a figure by its first digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)
