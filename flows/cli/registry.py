"""`pneumo promote` and `pneumo registry`: who may bear a role, who bore it, and back again."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated

import typer

from pneumo_core.errors import PromotionError

if TYPE_CHECKING:
    from pneumo_core.params import PromoteParams
    from tasks.ledger import Entry

app = typer.Typer(help="Who bore which role, when and why.", no_args_is_help=True)

Role = Annotated[str | None, typer.Option("--alias", help="One role; all of them otherwise.")]


def promote(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be decided, and change nothing.")
    ] = False,
) -> None:
    """Decide who bears each role now, gate by gate; the stage promote, even if nothing changed."""
    if not dry_run:
        from tasks.graph.dvc_stage import run_stage

        run_stage("promote", force=True)
        return
    from tasks.promote import propose

    params = _params()
    for role in params.roles:
        proposal = propose(params, role)
        decision = proposal.decision
        print(f"\n{role}: {proposal.cell or 'no cell'}, against {_champion(proposal.champion)}")
        print_table(
            ("gate", "found", "asked for", ""),
            [(g.name, g.shown(), g.asked, "ok" if g.passed else "NO") for g in decision.gates],
        )
        print(f"would be {decision.outcome}: {'; '.join(decision.reasons)}")


@app.command("history")
def history(alias: Role = None) -> None:
    """Every decision in the ledger, oldest first."""
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
    """Which model bore a role on that day, or at that moment; UTC unless told otherwise."""
    from pneumo_core.promotion.alias_history import in_use, periods

    start, end = _span(date)
    entries = _entries()
    roles = [alias] if alias else sorted({entry["role"] for entry in entries})
    for role in roles:
        borne = in_use(periods(entries, _params().registered_model, role), start, end)
        for period in borne:
            until = period.until.isoformat() if period.until else "now"
            print(
                f"{role}: version {period.version}, from {period.since.isoformat()} to {until}, "
                f"bundle {period.bundle_sha256[:12]}"
            )
        if not borne:
            print(f"{role}: nobody")


@app.command("rollback")
def rollback(
    why: Annotated[str, typer.Option(help="The reason, for the ledger.")],
    alias: Annotated[str, typer.Option(help="Role.")] = "champion",
    to: Annotated[
        str | None, typer.Option(help="Version; otherwise the last one before the present.")
    ] = None,
) -> None:
    """Give a role back to a former model, once its bundle and its pinned films are checked."""
    from tasks.registry import rollback

    name = _params().registered_model
    version, withdrawn = rollback.roll_back(name, alias, to, why)
    print(f"{name}@{alias} is version {version} again.")
    if withdrawn:
        print(f"It had been withdrawn before: {withdrawn}")


@app.command("verify")
def verify() -> None:
    """Check the ledger against the registry, and both against the bundles."""
    from tasks.registry import rollback

    faults = rollback.verify(_params().registered_model)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        raise typer.Exit(1)
    print("Ledger, registry and bundles agree.")


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be; the last one is left to run on."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


def _params() -> "PromoteParams":
    from pneumo_core import params
    from tasks import paths

    return params.load(paths.PARAMS).promote


def _entries() -> "list[Entry]":
    """Of the registered model in use."""
    from tasks import ledger, paths

    name = _params().registered_model
    return [e for e in ledger.read(paths.PROMOTION_LEDGER) if e["model"] == name]


def _champion(version: str | None) -> str:
    return f"version {version} in use" if version else "nobody in use"


def _span(date: str) -> tuple[datetime, datetime]:
    """First and last moment of a day, or a moment twice.

    Raises:
        PromotionError: no date of ISO 8601.
    """
    try:
        moment = datetime.fromisoformat(date)
    except ValueError as error:
        raise PromotionError(f"{date!r} is no date like 2026-11-25: {error}.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    is_day = len(date) <= len("2026-11-25")
    return moment, datetime.combine(moment, time.max, UTC) if is_day else moment
