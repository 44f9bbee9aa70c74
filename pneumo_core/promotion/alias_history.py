"""Which version had an alias, and when, from the entries of the promotion ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

PROMOTED, ROLLED_BACK = "promoted", "rolled back"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class AliasPeriod:
    version: str
    bundle_sha256: str
    since: datetime
    until: datetime | None  # None: still in use
    entry: Entry  # that began it


def periods(entries: Iterable[Entry], model: str, role: str) -> list[AliasPeriod]:
    """Return the periods of an alias, oldest first."""
    began = [
        entry
        for entry in entries
        if (entry.get("model"), entry.get("role")) == (model, role)
        and entry["outcome"] in (PROMOTED, ROLLED_BACK)
    ]
    since = [datetime.fromisoformat(entry["time"]) for entry in began]
    until = [*since[1:], None]
    return [
        AliasPeriod(entry["version"], entry["bundle_sha256"], start, end, entry)
        for entry, start, end in zip(began, since, until, strict=False)
    ]


def in_use(history: Sequence[AliasPeriod], start: datetime, end: datetime) -> list[AliasPeriod]:
    """Return the periods that overlap the time from `start` to `end`."""
    return [
        period
        for period in history
        if period.since <= end and (period.until is None or period.until > start)
    ]


def withdrawn(history: Sequence[AliasPeriod]) -> dict[str, str]:
    """Return the bundles that a rollback withdrew and that did not come back: when and why."""
    out: dict[str, str] = {}
    for before, period in pairwise(history):
        out.pop(period.bundle_sha256, None)
        if period.entry["outcome"] == ROLLED_BACK:
            why = "; ".join(period.entry["reasons"])
            out[before.bundle_sha256] = f"{period.since.date()}: {why}"
    return out


def predecessor(history: Sequence[AliasPeriod]) -> AliasPeriod | None:
    """Return the last period before the present one whose bundle was not withdrawn."""
    if not history:
        return None
    barred = {*withdrawn(history), history[-1].bundle_sha256}
    return next((t for t in reversed(history) if t.bundle_sha256 not in barred), None)
