"""Who bore a role, from when to when: read off the entries of the promotion ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

PROMOTED, ROLLED_BACK = "promoted", "rolled back"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Tenure:
    version: str
    bundle_sha256: str
    since: datetime
    until: datetime | None  # None: still in use
    entry: Entry  # that began it


def tenures(entries: Iterable[Entry], model: str, role: str) -> list[Tenure]:
    """Oldest first."""
    began = [
        entry
        for entry in entries
        if (entry.get("model"), entry.get("role")) == (model, role)
        and entry["outcome"] in (PROMOTED, ROLLED_BACK)
    ]
    since = [datetime.fromisoformat(entry["time"]) for entry in began]
    until = [*since[1:], None]
    return [
        Tenure(entry["version"], entry["bundle_sha256"], start, end, entry)
        for entry, start, end in zip(began, since, until, strict=False)
    ]


def in_use(reigns: Sequence[Tenure], start: datetime, end: datetime) -> list[Tenure]:
    """Those that overlap the time from `start` to `end`."""
    return [
        tenure
        for tenure in reigns
        if tenure.since <= end and (tenure.until is None or tenure.until > start)
    ]


def withdrawn(reigns: Sequence[Tenure]) -> dict[str, str]:
    """Bundles that a rollback took out of the role, and that did not come back: when and why."""
    out: dict[str, str] = {}
    for before, tenure in pairwise(reigns):
        out.pop(tenure.bundle_sha256, None)
        if tenure.entry["outcome"] == ROLLED_BACK:
            why = "; ".join(tenure.entry["reasons"])
            out[before.bundle_sha256] = f"{tenure.since.date()}: {why}"
    return out


def predecessor(reigns: Sequence[Tenure]) -> Tenure | None:
    """The last one before the present that was not withdrawn."""
    if not reigns:
        return None
    barred = {*withdrawn(reigns), reigns[-1].bundle_sha256}
    return next((t for t in reversed(reigns) if t.bundle_sha256 not in barred), None)
