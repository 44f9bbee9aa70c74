"""Names of flow runs on Prefect's page: what runs, and when it was due."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prefect.runtime import deployment, flow_run


def of_this_run() -> str:
    """Return the name of the run that calls; for `flow_run_name` of flows."""
    what = deployment.name or flow_run.flow_name
    return compose(what, flow_run.parameters, flow_run.scheduled_start_time)


def compose(what: str, parameters: Mapping[str, Any], due: datetime) -> str:
    """Return "study: archive-cpu 2026-11-29 14:10", in UTC as the schedules are."""
    if profile := parameters.get("profile"):
        what += f": {profile}"
    if parameters.get("ingest_again"):
        what += " on new films"
    return f"{what} {due:%Y-%m-%d %H:%M}"
