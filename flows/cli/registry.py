"""`pneumo promote` and `pneumo registry`: which model has which alias, when and why."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from pneumo_core.errors import PromotionError
from tasks.registry.members import MemberRole

if TYPE_CHECKING:
    from pneumo_core.params import PromoteParams
    from tasks.ledger import Entry

app = typer.Typer(
    help="Show the history of aliases, roll one back, verify the ledger, add members.",
    no_args_is_help=True,
)

Role = Annotated[str | None, typer.Option("--alias", help="One alias; by default all of them.")]


def promote(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the decision gate by gate, and change nothing.")
    ] = False,
) -> None:
    """Promote the best model for each role if its policy allows it."""
    if not dry_run:
        from tasks.graph.dvc_stage import run_stage

        run_stage("promote", force=True)
        return
    from tasks.promote import propose

    params = _params()
    for role in params.roles:
        proposal = propose(params, role)
        decision = proposal.decision
        print(f"\n{role}: {proposal.cell or 'no cell'} against {_champion(proposal.champion)}")
        print_table(
            ("gate", "found", "asked for", ""),
            [(g.name, g.shown(), g.asked, "ok" if g.passed else "NO") for g in decision.gates],
        )
        print(f"would be {decision.outcome}: {'; '.join(decision.reasons)}")


@app.command("history")
def history(alias: Role = None) -> None:
    """List every decision in the ledger, oldest first."""
    entries = [entry for entry in _entries() if alias in (None, entry["role"])]
    print_table(
        ("time", "role", "outcome", "version", "cell", "commit", "who", "why"),
        [
            (
                entry["time"],
                entry["role"],
                entry["outcome"],
                entry["version"] or "-",
                entry.get("cell") or "-",
                entry.get("git_commit", "-")[:8],
                entry["who"],
                "; ".join(entry["reasons"]),
            )
            for entry in entries
        ],
    )


@app.command("as-of")
def as_of(
    date: Annotated[str, typer.Argument(help="2026-11-25, or a moment: 2026-11-25T14:30+01:00.")],
    alias: Role = None,
) -> None:
    """Show which model had an alias on a day or at a moment. Times are UTC by default."""
    from pneumo_core.promotion.alias_history import in_use, periods

    start, end = _span(date)
    entries = _entries()
    roles = [alias] if alias else sorted({entry["role"] for entry in entries})
    for role in roles:
        found = in_use(periods(entries, _params().registered_model, role), start, end)
        for period in found:
            until = period.until.isoformat() if period.until else "now"
            print(
                f"{role}: version {period.version}, from {period.since.isoformat()} to {until}, "
                f"bundle {period.bundle_sha256[:12]}"
            )
        if not found:
            print(f"{role}: no model")


@app.command("rollback")
def rollback(
    why: Annotated[str, typer.Option(help="Reason, for the ledger.")],
    alias: Annotated[str, typer.Option(help="Alias to move.")] = "champion",
    to: Annotated[
        str | None, typer.Option(help="Version; by default the one before the present one.")
    ] = None,
) -> None:
    """Give an alias back to an earlier version, after a check of its bundle on pinned films."""
    from tasks.registry import rollback

    name = _params().registered_model
    version, withdrawn = rollback.roll_back(name, alias, to, why)
    print(f"{name}@{alias} is version {version} again.")
    if withdrawn:
        print(f"It had been withdrawn before: {withdrawn}")


@app.command("verify")
def verify() -> None:
    """Compare the ledger with the registry, and both with the bundles."""
    from tasks.registry import rollback

    faults = rollback.verify(_params().registered_model)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        raise typer.Exit(1)
    print("Ledger, registry and bundles agree.")


@app.command("member")
def member(
    name: Annotated[str, typer.Argument(help="Login at the MLflow server.")],
    role: Annotated[
        MemberRole | None,
        typer.Option(
            help="read: see all; train: also log and register; promote: also move aliases."
        ),
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="The old one is not accepted any more.")
    ] = False,
) -> None:
    """Make somebody a member of the MLflow server, change the role or give a new password."""
    from tasks.registry import members

    if (role is None) != new_password:
        raise typer.BadParameter("give either --role or --new-password.")
    if role is None:
        password: str | None = members.new_password(name)
    else:
        password = members.set_role(name, role)
        print(f"{name} has the role {role}.")
    if password:
        print(f"Password, shown only now: {password}")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _params() -> "PromoteParams":
    from pneumo_core import params

    return params.load().promote


def _entries() -> "list[Entry]":
    """Return the ledger's entries of the registered model, oldest first."""
    from tasks import ledger, paths

    name = _params().registered_model
    return [e for e in ledger.read(paths.PROMOTION_LEDGER) if e["model"] == name]


def _champion(version: str | None) -> str:
    return f"version {version} in use" if version else "no model in use"


def _span(date: str) -> tuple[datetime, datetime]:
    """Return the first and last moment of a day, or a moment twice.

    Raises:
        PromotionError: the text is not a date of ISO 8601.
    """
    try:
        moment = datetime.fromisoformat(date)
    except ValueError as error:
        raise PromotionError(f"{date!r} is not a date like 2026-11-25: {error}.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    is_day = len(date) <= len("2026-11-25")
    return moment, datetime.combine(moment, time.max, UTC) if is_day else moment
