"""Notifications of failed runs: by the operator's command, and a line in a file."""

import json
import os
import subprocess
from datetime import UTC, datetime
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_logger

from tasks import ledger, paths

FAILED_RUNS = paths.SCRATCH / "failed_runs.jsonl"
COMMAND = "PNEUMO_ON_FAILURE"  # for a shell, which gets it as JSON on its standard input
PATIENCE_S = 60


def notify_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Notify of a failed run; a hook of flows for `on_failure` and `on_crashed`."""
    notify(flow.name, flow_run, state)


def notify(flow_name: str, flow_run: FlowRun, state: State[Any]) -> None:
    """Notify by both ways; one that fails is logged and does not stop the other."""
    what = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "flow": flow_name,
        "run": flow_run.name,
        "run_id": str(flow_run.id),
        "state": state.name,
        "message": state.message,
        "project": str(paths.PARAMS.resolve().parent),
    }
    logger = get_logger(__name__)
    logger.error("Run %s of %s: %s", flow_run.name, flow_name, state.message)
    for target, send in ((COMMAND, _to_command), (FAILED_RUNS, _to_file)):
        try:
            send(what)
        except (subprocess.SubprocessError, OSError) as error:
            logger.error("%s did not take the notification: %s", target, error)


def _to_command(what: dict[str, Any]) -> None:
    if command := os.environ.get(COMMAND):
        subprocess.run(
            command, shell=True, input=json.dumps(what), text=True, timeout=PATIENCE_S, check=True
        )


def _to_file(what: dict[str, Any]) -> None:
    ledger.append(FAILED_RUNS, **what)
