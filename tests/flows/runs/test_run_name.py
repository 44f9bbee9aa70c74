from datetime import UTC, datetime
from typing import Any

import pytest

from flows.runs import run_name

DUE = datetime(2026, 11, 29, 3, 0, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"profile": None, "ingest_again": False}, "retrain 2026-11-29 03:00"),
        ({"profile": "best", "ingest_again": False}, "retrain: best 2026-11-29 03:00"),
        ({"profile": None, "ingest_again": True}, "retrain on new films 2026-11-29 03:00"),
        ({"source": None}, "retrain 2026-11-29 03:00"),
    ],
)
def test_name_says_what_runs_and_when(parameters: dict[str, Any], name: str) -> None:
    assert run_name.compose("retrain", parameters, DUE) == name
