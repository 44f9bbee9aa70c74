"""Runs that were killed together with their worker, so that no process reports them.

Prefect shows them as running for ever. The next process that holds the project knows that the run
whose name is still here is dead. A worker looks for one before it starts:
`python -m flows.runs.dead_runs`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas import State
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from flows.runs import alarm
from pneumo_core.atomic import write_text
from pneumo_core.errors import BusyError
from tasks import paths
from tasks.project_lock import hold_project

HOLDER = paths.SCRATCH / "locks" / "run.txt"
KILLED = "It was stopped before it could report: killed, or interrupted by Ctrl-C."


@contextmanager
def entered(own: UUID) -> Iterator[None]:
    """Keep the name of this run on disk while it holds the project."""
    report(own)
    write_text(HOLDER, str(own))
    try:
        yield
    finally:
        HOLDER.unlink()


def report(own: UUID | None = None) -> None:
    """Report the run before `own`, if it is dead. Call it while holding the project."""
    if HOLDER.is_file() and (before := UUID(HOLDER.read_text())) != own:
        with get_client(sync_client=True) as client:
            _report(client, before)


def _report(client: SyncPrefectClient, run_id: UUID) -> None:
    """Mark the run as crashed, unless it has ended or ran on another server."""
    try:
        run = client.read_flow_run(run_id)
    except ObjectNotFound:
        return
    if run.state is None or run.state.is_final():
        return
    crashed: State[Any] = Crashed(message=KILLED)
    its_tasks = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    )
    for task_run in its_tasks:
        if task_run.state is None or not task_run.state.is_final():
            client.set_task_run_state(task_run.id, crashed, force=True)
    client.set_flow_run_state(run_id, crashed, force=True)
    alarm.notify(client.read_flow(run.flow_id).name, run, crashed)


if __name__ == "__main__":
    with suppress(BusyError), hold_project():
        report()
        HOLDER.unlink(missing_ok=True)
