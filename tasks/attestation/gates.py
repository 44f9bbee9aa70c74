"""Claims on the gates: each decision that the statement holds, taken again."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pneumo_core.atomic import JsonDict, file_sha256
from pneumo_core.errors import NotCheckedError
from pneumo_core.promotion import alias_history
from pneumo_core.promotion import policy as policies
from pneumo_core.promotion.gates import Gate
from pneumo_core.promotion.policy import Policy
from pneumo_core.promotion.promotion import comparison_gates, decide
from tasks import ledger, paths
from tasks.attestation.claims import WHERE, Outcome, compare_values, differs, require, some
from tasks.attestation.subject import Subject
from tasks.graph import integrity, provenance
from tasks.registry import evidence, model_versions, statement


def roles(subject: Subject) -> Mapping[str, JsonDict]:
    """Return the decisions of the statement by role; none where it was made without them."""
    found: Mapping[str, JsonDict] = subject.statement["predicate"].get(statement.DECISIONS, {})
    return found


def of_role(subject: Subject, role: str) -> Outcome:
    """The gates, from the figures here, by the policy and the ledgers of then."""
    stated, policy = roles(subject)[role], _policy(subject, role)
    cell, external = subject.evaluated.name, subject.params.evaluate.external
    rests_on = (paths.SPLIT, paths.AUDIT, *(paths.EXTERNAL / name for name in external))
    require(*rests_on)
    for fault in integrity.altered_outputs(rests_on):
        return differs(fault)
    challenger = evidence.of_challenger(cell, policy.operating_point, {})
    with tempfile.TemporaryDirectory() as scratch:
        looks, promotions = (_ledger(subject, path, Path(scratch)) for path in statement.LEDGERS)
        name = subject.params.promote.registered_model
        history = alias_history.periods(ledger.read(promotions), name, role)
        challenger = replace(
            challenger,
            test_looks=evidence.test_looks(
                looks, challenger.test_split_hash, challenger.bundle_sha256
            ),
            withdrawn=alias_history.withdrawn(history).get(challenger.bundle_sha256),
        )
    decision = decide(challenger, evidence.of_data(), None, policy)
    gates = list(decision.gates)
    if len(stated["gates"]) > len(gates):
        champion = _champion(subject, stated["champion"], policy)
        gates += comparison_gates(challenger.reading, champion, policy)
    return _compare(gates, stated)


def _compare(gates: list[Gate], stated: JsonDict) -> Outcome:
    """Compare names, demands, verdicts and figures of gates with those of the statement."""
    by_name = {gate["name"]: gate for gate in stated["gates"]}
    here = {gate.name: gate for gate in gates}
    other = {
        name
        for name in by_name.keys() | here.keys()
        if name not in here or name not in by_name or not _agree(here[name], by_name[name])
    }
    if other:
        return differs(f"other gates: {some(other)}")
    if stated["outcome"] == alias_history.PROMOTED and not all(gate.passed for gate in gates):
        return differs("it says promoted, and a gate does not hold")
    return compare_values(
        {name: gate.found for name, gate in here.items()},
        {name: gate["found"] for name, gate in by_name.items()},
        f"{len(gates)} gates, {stated['outcome']}",
    )


def _agree(gate: Gate, stated: Mapping[str, Any]) -> bool:
    return (gate.asked, gate.passed) == (stated["asked"], stated["passed"])


def _policy(subject: Subject, role: str) -> Policy:
    """Return the role's policy of then, from here or from the commit.

    Raises:
        NotCheckedError: it is in neither.
    """
    path = policies.path_of(subject.params.promote, role)
    sha256 = subject.sha256_of(path.as_posix())
    if path.is_file() and file_sha256(path) == sha256:
        return policies.load(path)
    content = provenance.file_at(subject.commit, path)
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        raise NotCheckedError(
            f"{path} of then is neither here nor in the commit {subject.commit[:12]}"
        )
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        copy.write_bytes(content)
        return policies.load(copy)


def _ledger(subject: Subject, path: Path, scratch: Path) -> Path:
    """Return a copy of a ledger as it was then, which is how the ledger here begins.

    Raises:
        NotCheckedError: this ledger does not begin so.
    """
    copy = scratch / path.name
    try:
        sha256 = subject.sha256_of(path.as_posix())
    except NotCheckedError:
        return copy  # there was none
    content = b""
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        content += line
        if hashlib.sha256(content).hexdigest() == sha256:
            copy.write_bytes(content)
            return copy
    raise NotCheckedError(f"{path} here does not begin with the lines of then: {WHERE}")


def _champion(subject: Subject, version: str | None, policy: Policy) -> Any:
    """Return the champion of then, scored now.

    Raises:
        NotCheckedError: the registry here does not have it.
    """
    name = subject.params.promote.registered_model
    registered = model_versions.versions(name).get(str(version))
    if registered is None:
        raise NotCheckedError(f"the champion of then, version {version}, is not in the registry")
    folder = model_versions.fetch(registered)
    return evidence.of_champion(folder / paths.BUNDLE, policy.operating_point)
