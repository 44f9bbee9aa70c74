"""Notifications of failed runs: by the operator's command, and a line in a file.

Prefect is imported only when there is something to notify of.
"""

import json
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import explanations, ledger, paths

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State

FAILED_RUNS = paths.SCRATCH / "failed_runs.jsonl"
COMMAND = "PNEUMO_ON_FAILURE"  # for a shell, which gets it as JSON on its standard input
PATIENCE_S = 60
RUN_LOG = "prefect.flow_runs"  # the logger of what a run's page shows


def notify_failure(flow: "Flow[..., Any]", flow_run: "FlowRun", state: "State[Any]") -> None:
    """Notify of a failed run; a hook of flows for `on_failure` and `on_crashed`."""
    logging.getLogger(RUN_LOG).addFilter(_is_news)
    notify(flow.name, flow_run, state)


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for Prefect's own traceback at the end of a run that returned Failed."""
    from prefect.exceptions import CrashedRun, FailedRun

    return not (record.exc_info and isinstance(record.exc_info[1], FailedRun | CrashedRun))


def notify(flow_name: str, flow_run: "FlowRun", state: "State[Any]") -> None:
    """Notify of a run by its final state."""
    from prefect.logging.loggers import flow_run_logger

    flow_run_logger(flow_run).error("Run %s of %s: %s", flow_run.name, flow_name, state.message)
    _notify(flow_name, flow_run.name, str(flow_run.id), str(state.name), state.message)


@contextmanager
def of_errors(flow_name: str) -> Iterator[None]:
    """Notify of an error before or outside the flow, which no hook of Prefect's sees."""
    try:
        yield
    except Exception as error:
        _notify(flow_name, None, None, "Failed", explanations.in_one_line(error))
        raise


def failed(error: Exception) -> "State[None]":
    """Return the final state of a flow that met a known failure; raise any other again."""
    from prefect.states import Failed

    if (explanation := explanations.explain(error)) is None:
        raise error
    return Failed(message=explanation)


def _notify(
    flow_name: str, run: str | None, run_id: str | None, state: str, message: str | None
) -> None:
    """Notify by both ways; one that fails is logged and does not stop the other."""
    what = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "flow": flow_name,
        "run": run,
        "run_id": run_id,
        "state": state,
        "message": message,
        "project": str(Path.cwd()),
    }
    for target, send in ((COMMAND, _to_command), (FAILED_RUNS, _to_file)):
        try:
            send(what)
        except (subprocess.SubprocessError, OSError) as error:
            from prefect.logging import get_logger

            get_logger(__name__).error("%s did not take the notification: %s", target, error)


def _to_command(what: dict[str, Any]) -> None:
    if command := os.environ.get(COMMAND):
        subprocess.run(
            command, shell=True, input=json.dumps(what), text=True, timeout=PATIENCE_S, check=True
        )


def _to_file(what: dict[str, Any]) -> None:
    ledger.append(FAILED_RUNS, **what)
