"""Who is told of a failed run, whatever else fails with it."""

import json
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
from prefect.states import Failed

from flows.runs import alarm

RUN = FlowRun(name="tidy-crab", flow_id=uuid4())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("fault", [None, "command", "file"])
def test_one_that_cannot_be_told_does_not_keep_it_from_the_other(
    fault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder in the file's place stands for a disk that takes nothing."""
    file, notified = tmp_path / "failed_runs.jsonl", tmp_path / "notified"
    if fault == "file":
        file.mkdir()
    monkeypatch.setattr(alarm, "FAILED_RUNS", file)
    monkeypatch.setenv(alarm.COMMAND, "exit 1" if fault == "command" else f"cat > {notified}")
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}):
        alarm.notify("pneumo", RUN, cast(Any, Failed(message="No films.")))
    alarms = ([] if fault == "command" else lines(notified)) + (
        [] if fault == "file" else lines(file)
    )
    assert len(alarms) == (2 if fault is None else 1)
    for each in alarms:
        assert (each["run"], each["message"]) == ("tidy-crab", "No films.")
        assert each["time"].endswith("+00:00")
