"""Rollback, and the check of the ledger against the registry against the bundles."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo_core import pinned_sample, succession
from pneumo_core.errors import BundleError, PromotionError
from pneumo_core.gates import MAX_DEVIATION
from pneumo_core.succession import Tenure
from tasks import ledger, places, provenance, registry
from tasks.ledger import broken_links, line_hashes

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def roll_back(name: str, role: str, version: str | None, why: str) -> tuple[str, str | None]:
    """Gives a role back to a version that had it, once that is seen to be what it was.

    Args:
        version: None takes the last before the present one that no rollback has taken out.

    Returns:
        The version that has the role now; when and why it had been withdrawn, if it had.

    Raises:
        PromotionError: no such version had the role, its pinned films are not here, or it no
            longer says of them what it said.
        BundleError: its bundle is not the one that was registered.
    """
    with registry.locked():
        reigns = succession.tenures(ledger.read(places.PROMOTION_LEDGER), name, role)
        target = _target(reigns, role, version)
        registered = registry.versions(name).get(target.version)
        if registered is None:
            raise PromotionError(f"The registry has no version {target.version} of {name}.")
        deviation = _check(registered, target)
        line = ledger.append(
            places.PROMOTION_LEDGER,
            who=provenance.who(),
            model=name,
            role=role,
            outcome=succession.ROLLED_BACK,
            reasons=[why],
            version=target.version,
            bundle_sha256=target.bundle_sha256,
            champion=reigns[-1].version,
            deviation=deviation,
            **provenance.tags(),
        )
        registry.note(name, target.version, role, succession.ROLLED_BACK, line)
        registry.set_alias(name, role, target.version)
    return target.version, succession.withdrawn(reigns).get(target.bundle_sha256)


def verify(name: str) -> list[str]:
    """Where ledger, registry and bundles disagree, a sentence each; none where they agree."""
    with registry.locked():
        return _disagreements(name)


def _disagreements(name: str) -> list[str]:
    path = places.PROMOTION_LEDGER
    entries = [entry for entry in ledger.read(path) if entry.get("model") == name]
    known, aliases = registry.versions(name), registry.aliases(name)
    faults = [f"ledger: line {n} does not follow from the one before" for n in broken_links(path)]
    for role in sorted({entry["role"] for entry in entries} | aliases.keys()):
        reigns = succession.tenures(entries, name, role)
        by_ledger = reigns[-1].version if reigns else None
        if aliases.get(role) != by_ledger:
            faults.append(
                f"{role}: version {by_ledger} by the ledger, {aliases.get(role)} by the registry"
            )
    recorded = {e["version"]: e["bundle_sha256"] for e in entries if e["version"]}
    for version in sorted({*recorded, *known}, key=int):
        faults += _faults(known.get(version), version, recorded.get(version), line_hashes(path))
    return faults


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
        if tag.endswith(registry.LINE) and value not in lines
    ]
    if registered.tags.get(registry.BUNDLE_TAG) != bundle_sha256:
        return [*faults, f"version {version}: ledger and registry name different bundles"]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            registry.download(registered, Path(scratch))
    except (BundleError, PromotionError) as error:
        faults.append(f"version {version}: {error}")
    return faults


def _target(reigns: Sequence[Tenure], role: str, version: str | None) -> Tenure:
    if not reigns:
        raise PromotionError(f"By the ledger nobody ever was {role}.")
    if version is None:
        target = succession.predecessor(reigns)
        if target is None:
            out = succession.withdrawn(reigns)
            told = {t.version: out[t.bundle_sha256] for t in reigns if t.bundle_sha256 in out}
            raise PromotionError(
                f"There is no {role} before version {reigns[-1].version}"
                + "".join(f"; version {v} was withdrawn ({why})" for v, why in told.items())
                + (". To take it all the same, name it: --to VERSION." if told else ".")
            )
        return target
    former = [tenure for tenure in reigns if tenure.version == version]
    if not former or version == reigns[-1].version:
        had = ", ".join(sorted({tenure.version for tenure in reigns[:-1]})) or "none"
        raise PromotionError(f"Version {version} is no former {role}; those are: {had}.")
    return former[-1]


def _check(registered: "ModelVersion", target: Tenure) -> float:
    """The deviation on the pinned sample of a copy that is fetched anew."""
    from pneumo_core.scoring import Scorer  # torch, which `verify` can do without
    from tasks import evidence

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        registry.download(registered, folder)
        if registered.tags[registry.BUNDLE_TAG] != target.bundle_sha256:
            raise BundleError(
                f"Version {target.version} is not the bundle that the ledger says it is."
            )
        sample = json.loads((folder / places.SAMPLE).read_text("utf-8"))
        scorer = Scorer.load(folder / places.BUNDLE)
        deviation = pinned_sample.deviation(sample, scorer, evidence.read_film)
    if deviation > MAX_DEVIATION:
        raise PromotionError(
            f"Version {target.version} no longer says of its pinned films what it said: a "
            f"probability is off by {deviation:.4f}. The alias stays."
        )
    return deviation
