"""Which version had an alias when, by hand-written ledgers."""

from datetime import datetime
from typing import Any

import pytest

from pneumo_core.promotion.alias_history import AliasPeriod, in_use, periods, predecessor, withdrawn


def entry(day: int, outcome: str, version: str, **others: Any) -> dict[str, Any]:
    facts = {"model": "pneumo", "role": "champion", "reasons": ["why"]}
    return (
        {"time": f"2026-01-{day:02}T12:00:00+00:00", "outcome": outcome, "version": version}
        | {"bundle_sha256": f"bundle {version}"}
        | facts
        | others
    )


LEDGER = [
    entry(1, "refused", "1"),
    entry(2, "promoted", "2"),
    entry(3, "promoted", "9", role="screening"),
    entry(4, "promoted", "8", model="another"),
    entry(5, "already champion", "2"),
    entry(6, "promoted", "3"),
    entry(8, "promoted", "4"),
]


def champions(*more: dict[str, Any]) -> list[AliasPeriod]:
    return periods([*LEDGER, *more], "pneumo", "champion")


def versions(found: list[AliasPeriod]) -> list[str]:
    return [period.version for period in found]


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-{text}+00:00")


def test_only_promotions_and_rollbacks_of_the_role_change_who_bears_it() -> None:
    assert versions(champions()) == ["2", "3", "4"]
    assert champions()[0].until == champions()[1].since == at("06T12:00")
    assert champions()[-1].until is None
    assert versions(periods(LEDGER, "pneumo", "screening")) == ["9"]
    assert periods([], "pneumo", "champion") == []


@pytest.mark.parametrize(
    ("start", "end", "had"),
    [
        ("01T00:00", "01T23:59", []),
        ("02T00:00", "02T23:59", ["2"]),
        ("02T11:59", "02T11:59", []),
        ("02T12:00", "02T12:00", ["2"]),
        ("06T00:00", "06T23:59", ["2", "3"]),  # it changed at noon
        ("06T12:00", "06T12:00", ["3"]),
        ("07T00:00", "07T23:59", ["3"]),
        ("30T00:00", "30T23:59", ["4"]),
    ],
)
def test_who_bore_it_on_a_day_and_at_a_moment(start: str, end: str, had: list[str]) -> None:
    assert versions(in_use(champions(), at(start), at(end))) == had


def test_predecessor_skips_what_was_rolled_back() -> None:
    first = entry(9, "rolled back", "3", reasons=["misses infants"])
    assert predecessor(champions()) == champions()[1]
    assert withdrawn(champions(first)) == {"bundle 4": "2026-01-09: misses infants"}
    assert predecessor(champions(first)) == champions()[0]
    second = entry(10, "rolled back", "2", reasons=["that one too"])
    assert withdrawn(champions(first, second)).keys() == {"bundle 4", "bundle 3"}
    assert predecessor(champions(first, second)) is None
    assert predecessor([]) is None


def test_what_comes_back_is_no_longer_withdrawn() -> None:
    there = entry(9, "rolled back", "3")
    back = entry(10, "rolled back", "4")
    assert withdrawn(champions(there, back)).keys() == {"bundle 3"}
