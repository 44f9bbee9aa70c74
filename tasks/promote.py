"""For each role: the cell that validation chooses for it, and whether it gets the role's alias."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pneumo_core import params as all_params
from pneumo_core.atomic import JsonDict, write_json
from pneumo_core.errors import BundleError, NotTrustedError, SignatureError
from pneumo_core.params import PromoteParams
from pneumo_core.promotion import alias_history
from pneumo_core.promotion import policy as policies
from pneumo_core.promotion.gates import Gate
from pneumo_core.promotion.policy import Policy
from pneumo_core.promotion.promotion import Champion, Decision, choose_challenger, decide
from tasks import ledger, paths, signing
from tasks.graph import integrity, provenance
from tasks.registry import evidence, members, model_versions, registration
from tasks.registry.members import MemberRole
from tasks.tracking import connection, descriptions, runs

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Proposal:
    role: str
    cell: str | None  # None: none is fit for the role
    bundle_sha256: str | None
    champion: str | None  # version that has the alias now
    decision: Decision


# What a decision rests on; pinned films are compared with their own hashes.
RESTS_ON = (paths.IMAGES, paths.SPLIT, paths.CERTIFICATE, paths.EVALUATED, paths.AUDIT)


def run(params: PromoteParams) -> None:
    integrity.require_unaltered(RESTS_ON)
    decided: dict[str, JsonDict] = {}
    of_version: dict[str, dict[str, JsonDict]] = {}
    with model_versions.locked():
        proposals = [propose(params, role) for role in params.roles]
        for proposal in proposals:
            role, decision = proposal.role, proposal.decision.as_dict()
            version = ""
            if paths.DVC_EXPERIMENT:
                decision["outcome"] = f"would be {proposal.decision.outcome}"
            else:
                version = carry_out(params, proposal, proposals)
                of_version.setdefault(version, {})[role] = decision | {"cell": proposal.cell}
            promoted = decision["outcome"] == alias_history.PROMOTED
            in_use = version if promoted else proposal.champion
            decided[role] = {"cell": proposal.cell, "in_use": in_use} | decision
            print(
                f"promote: {role}: {proposal.cell or 'no cell'}"
                f"{version and f', version {version} of {params.registered_model}'}: "
                f"{decision['outcome']}; {'; '.join(proposal.decision.reasons)}"
            )
    if paths.DVC_EXPERIMENT:
        print(
            "promote: An experiment of DVC changes neither registry nor ledger. To promote its "
            f"model: dvc exp apply {paths.DVC_EXPERIMENT}, then pneumo promote"
        )
    write_json(paths.DECISION, decided)
    if not paths.DVC_EXPERIMENT:
        with connection.copying("the decisions in words"):
            _describe(params, decided, of_version)
    print("promote: " + "; ".join(f"{role}: {d['outcome']}" for role, d in decided.items()))


def propose(params: PromoteParams, role: str) -> Proposal:
    """Return the decision on a role as it would be now, with reasons; change nothing.

    Raises:
        PromotionError: the registry or the policy cannot be read, or no cell was evaluated.
        BundleError: the challenger's bundle is incomplete or was altered.
    """
    name = params.registered_model
    policy = policies.of_role(params, role)
    in_use = model_versions.find_champion(name, role)
    champion = None if in_use is None else str(in_use.version)
    cell = choose_challenger(evidence.on_validations(), policy)
    if cell is None:
        fit = Gate(f"cell with the operating point {policy.operating_point}", None, "one", False)
        return Proposal(role, None, None, champion, Decision("refused", (fit,)))
    withdrawn = alias_history.withdrawn(
        alias_history.periods(ledger.read(paths.PROMOTION_LEDGER), name, role)
    )
    if policy.erased == "refuse":
        withdrawn |= model_versions.erased_bundles(name)
    challenger = evidence.of_challenger(cell, policy.operating_point, withdrawn)
    decision = decide(challenger, evidence.of_data(), scored(in_use, role, policy), policy)
    if decision.outcome == alias_history.PROMOTED and (found := obstacles(policy)):
        decision = Decision("refused", (*decision.gates, *found))
    return Proposal(role, cell, challenger.bundle_sha256, champion, decision)


def obstacles(policy: Policy) -> list[Gate]:
    """Return what keeps whoever runs this from promoting any model."""
    gates = []
    if found := members.missing_right():
        gates.append(Gate("login at the registry", found, f"role {MemberRole.PROMOTE}", False))
    if policy.signed and signing.private_key() is None:
        gates.append(Gate("key that signs", None, signing.PRIVATE_KEY, False))
    return gates


def scored(in_use: "ModelVersion | None", role: str, policy: Policy) -> Champion | None:
    """Return the champion with its reading of the test films, or what keeps it from being read.

    None: there is none, or none that may be used: it is not signed as the policy asks, its key was
    revoked, or a patient of it was erased.
    """
    if in_use is None:
        return None
    try:
        model_versions.require_not_erased(in_use, role)
        folder = model_versions.fetch(in_use)
        model_versions.require_signed(folder, role)
        return evidence.of_champion(folder / paths.BUNDLE, policy.operating_point)
    except NotTrustedError as error:
        print(f"promote: {role}: the champion is not compared: {error}")
        return None
    except (BundleError, SignatureError) as error:
        return Champion(str(in_use.tags.get(model_versions.BUNDLE_TAG)), None, str(error))


def carry_out(params: PromoteParams, proposal: Proposal, of_run: Sequence[Proposal]) -> str:
    """The challenger's version, empty where there is none.

    The ledger comes before the alias: a kill between the two leaves a line without its deed, which
    `pneumo registry verify` finds, and never a deed without its line.

    Args:
        of_run: the proposals for all roles, which the statement of a new version holds.
    """
    name, decision = params.registered_model, proposal.decision
    facts = provenance.data_versions() | provenance.tags()
    version = run_id = ""
    if proposal.cell is not None:
        tags = facts | {
            "cell": proposal.cell,
            model_versions.BUNDLE_TAG: str(proposal.bundle_sha256),
        }
        decisions = {p.role: stated(p) for p in of_run if p.cell == proposal.cell}
        version, run_id = registration.register(name, proposal.cell, tags, decisions)
    line = ledger.append(
        paths.PROMOTION_LEDGER,
        who=provenance.who(),
        model=name,
        role=proposal.role,
        **decision.as_dict(),
        cell=proposal.cell,
        version=version,
        run_id=run_id,
        bundle_sha256=proposal.bundle_sha256,
        champion=proposal.champion,
        **facts,
    )
    if version:
        model_versions.note(name, version, proposal.role, decision.outcome, line)
    if decision.outcome == alias_history.PROMOTED:
        model_versions.set_alias(name, proposal.role, version)
    return version


def _describe(
    params: PromoteParams,
    decided: Mapping[str, JsonDict],
    of_version: Mapping[str, Mapping[str, JsonDict]],
) -> None:
    """Write into MLflow, for people, what was decided."""
    name, entries = params.registered_model, ledger.read(paths.PROMOTION_LEDGER)
    report = runs.record_decisions(decided, name, all_params.load().train)
    for version, by_role in of_version.items():
        if version:
            promotions = [
                dict(period.entry)
                for role in by_role
                for period in alias_history.periods(entries, name, role)
                if period.version == version
            ]
            (cell, *_) = (decision["cell"] for decision in by_role.values())
            text = descriptions.of_version(cell, by_role, promotions, report)
            model_versions.describe(name, version, text)


def stated(proposal: Proposal) -> JsonDict:
    """Return the decision as the statement of a new version holds it."""
    return {"champion": proposal.champion} | proposal.decision.as_dict()
