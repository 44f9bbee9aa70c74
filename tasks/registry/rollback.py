"""Rollback, and the check that ledger, registry and bundles agree."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo_core.errors import BundleError, NotTrustedError, PromotionError, SignatureError
from pneumo_core.promotion import alias_history, pinned_sample
from pneumo_core.promotion.alias_history import AliasPeriod
from pneumo_core.promotion.gates import MAX_DEVIATION
from tasks import ledger, paths
from tasks.graph import provenance
from tasks.ledger import broken_links, earlier_lines, line_hashes
from tasks.registry import members, model_versions, statement
from tasks.registry.members import MemberRole
from tasks.tracking import connection, descriptions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def roll_back(name: str, role: str, version: str | None, why: str) -> tuple[str, str | None]:
    """Give a role back to a version that had it, after a check that it is unchanged.

    Args:
        version: None takes the last before the present one that no rollback has taken out.

    Returns:
        The version that has the role now; when and why it had been withdrawn, if it had.

    Raises:
        PromotionError: no such version had the role, its pinned films are not here, it no longer
            gives the same probabilities, or the login may not move an alias.
        SignatureError: a signature is missing, does not fit, or its key is not trusted.
        BundleError: its bundle is not the one that was registered.
    """
    with model_versions.locked():
        if found := members.missing_right():
            raise PromotionError(f"{found}; to move an alias it needs {MemberRole.PROMOTE}.")
        history = alias_history.periods(ledger.read(paths.PROMOTION_LEDGER), name, role)
        target = _target(history, role, version)
        registered = model_versions.versions(name).get(target.version)
        if registered is None:
            raise PromotionError(f"The registry has no version {target.version} of {name}.")
        model_versions.require_not_erased(registered, role)
        deviation = _check(registered, target, role)
        line = ledger.append(
            paths.PROMOTION_LEDGER,
            who=provenance.who(),
            model=name,
            role=role,
            outcome=alias_history.ROLLED_BACK,
            reasons=[why],
            version=target.version,
            bundle_sha256=target.bundle_sha256,
            champion=history[-1].version,
            deviation=deviation,
            **provenance.tags(),
        )
        model_versions.note(name, target.version, role, alias_history.ROLLED_BACK, line)
        model_versions.set_alias(name, role, target.version)
        with connection.copying("the rollback in words"):
            now = alias_history.periods(ledger.read(paths.PROMOTION_LEDGER), name, role)[-1]
            text = f"{descriptions.of_promotion(now.entry)}\n\n{registered.description or ''}"
            model_versions.describe(name, target.version, text)
    return target.version, alias_history.withdrawn(history).get(target.bundle_sha256)


def verify(name: str) -> list[str]:
    """Return a sentence for each disagreement of ledger, registry and bundles."""
    with model_versions.locked():
        return _disagreements(name)


def _disagreements(name: str) -> list[str]:
    path = paths.PROMOTION_LEDGER
    entries = [entry for entry in ledger.read(path) if entry.get("model") == name]
    known, aliases = model_versions.versions(name), model_versions.aliases(name)
    faults = [f"ledger: line {n} does not follow from the one before" for n in broken_links(path)]
    faults += [f"ledger: line {n} is earlier than the one before" for n in earlier_lines(path)]
    faults += ledger.false_signatures(path)
    for role in sorted({entry["role"] for entry in entries} | aliases.keys()):
        history = alias_history.periods(entries, name, role)
        by_ledger = history[-1].version if history else None
        if aliases.get(role) != by_ledger:
            faults.append(
                f"{role}: version {by_ledger} by the ledger, {aliases.get(role)} by the registry"
            )
        faults += _distrust(known.get(aliases.get(role, "")), role)
    recorded = {e["version"]: e["bundle_sha256"] for e in entries if e["version"]}
    for version in sorted({*recorded, *known}, key=int):
        faults += _faults(known.get(version), version, recorded.get(version), line_hashes(path))
    return faults


def _distrust(in_use: "ModelVersion | None", role: str) -> list[str]:
    """Return a sentence if the model of a role may not be used: by its signature, or an erasure."""
    if in_use is None:
        return []
    try:
        model_versions.require_promoted(in_use, role)
        model_versions.require_not_erased(in_use, role)
        model_versions.require_signed(model_versions.fetch(in_use), role)
    except NotTrustedError as error:
        return [f"{role}: {error}"]
    except (BundleError, PromotionError, SignatureError):
        pass  # a fault of the ledger or of the version, told there
    return []


def _faults(
    registered: "ModelVersion | None", version: str, bundle_sha256: str | None, lines: set[str]
) -> list[str]:
    if registered is None:
        return [f"version {version}: in the ledger, not in the registry"]
    if bundle_sha256 is None:
        return [f"version {version}: in the registry, not in the ledger"]
    faults = [
        f"version {version}: the ledger has lost the line that {tag} names"
        for tag, value in registered.tags.items()
        if tag.endswith(model_versions.LINE) and value not in lines
    ]
    if registered.tags.get(model_versions.BUNDLE_TAG) != bundle_sha256:
        return [*faults, f"version {version}: ledger and registry name different bundles"]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            model_versions.download(registered, Path(scratch))
            found = statement.contradictions(Path(scratch))
            faults += [f"version {version}: {each}" for each in found]
    except NotTrustedError:
        pass  # of an old version; of one in use it is told by its role
    except (BundleError, PromotionError, SignatureError) as error:
        faults.append(f"version {version}: {error}")
    return faults


def _target(history: Sequence[AliasPeriod], role: str, version: str | None) -> AliasPeriod:
    if not history:
        raise PromotionError(f"By the ledger nobody ever was {role}.")
    if version is None:
        target = alias_history.predecessor(history)
        if target is None:
            out = alias_history.withdrawn(history)
            versions = {t.version: out[t.bundle_sha256] for t in history if t.bundle_sha256 in out}
            raise PromotionError(
                f"There is no {role} before version {history[-1].version}"
                + "".join(f"; version {v} was withdrawn ({why})" for v, why in versions.items())
                + (". To take it all the same, name it: --to VERSION." if versions else ".")
            )
        return target
    former = [period for period in history if period.version == version]
    if not former or version == history[-1].version:
        had = ", ".join(sorted({period.version for period in history[:-1]})) or "none"
        raise PromotionError(f"Version {version} is no former {role}; those are: {had}.")
    return former[-1]


def _check(registered: "ModelVersion", target: AliasPeriod, role: str) -> float:
    """The deviation on the pinned sample of a copy that is fetched anew."""
    from pneumo_core.evaluation.scoring import Scorer
    from tasks.registry import evidence

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model_versions.download(registered, folder)
        model_versions.require_signed(folder, role)
        if registered.tags[model_versions.BUNDLE_TAG] != target.bundle_sha256:
            raise BundleError(
                f"Version {target.version} is not the bundle that the ledger says it is."
            )
        sample = json.loads((folder / paths.SAMPLE).read_text("utf-8"))
        scorer = Scorer.load(folder / paths.BUNDLE)
        deviation = pinned_sample.deviation(sample, scorer, evidence.films_by_hash())
    if deviation > MAX_DEVIATION:
        raise PromotionError(
            f"Version {target.version} no longer gives its pinned films the same probabilities: a "
            f"probability is off by {deviation:.4f}. The alias stays."
        )
    return deviation
