"""The pipeline as a Prefect flow: the stages of `dvc.yaml`, each run by DVC, cells in parallel."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal
from uuid import UUID

from prefect import Task, flow, get_run_logger, task
from prefect.client.schemas import State
from prefect.client.schemas.objects import TaskRun
from prefect.futures import PrefectFuture, as_completed
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.states import Completed, Crashed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from rich.console import Console

from flows.runs import alarm, artifacts, dead_runs, live_table, params_file, ray_cells, run_name
from flows.runs.own_server import OwnServer, configured
from pneumo_core.errors import BusyError, PipelineError, StoreError, UnavailableError
from tasks.device_lock import num_slots
from tasks.graph import dvc_graph, dvc_stage
from tasks.project_lock import hold_project
from tasks.stores.preflight import require_remote

RETRY_AFTER_S = [5.0, 30.0, 120.0]
UNAVAILABLE = "Unavailable"

Profile = Literal["phantom", "archive-cpu", "small-cpu", "study", "best"]


def _is_unavailable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry only what may pass: faults of the data or of a gate stay."""
    return state.name == UNAVAILABLE


@task(
    task_run_name="{stage}",
    retries=len(RETRY_AFTER_S),
    retry_delay_seconds=RETRY_AFTER_S,
    retry_condition_fn=_is_unavailable,
)
def run_one(stage: str, force: bool = False, project: str | None = None) -> State[None]:
    """Run one stage; the log gets its lines.

    Args:
        project: the project's folder, on a machine of a cluster.
    """
    begun = time.monotonic()
    try:
        if project is not None:
            ray_cells.enter(project)
        last_line = dvc_stage.run_stage(stage, get_run_logger().info, force)
    except UnavailableError as error:
        return Failed(name=UNAVAILABLE, message=str(error))
    except PipelineError as error:
        return Failed(message=str(error))
    return Completed(message=f"{last_line or 'done'} ({time.monotonic() - begun:.0f} s)")


@flow(
    name="pneumo",
    flow_run_name=run_name.of_this_run,
    on_failure=[alarm.notify_failure],
    on_crashed=[alarm.notify_failure],
)
def pipeline(
    profile: Profile | None = None,
    changes: list[str] | None = None,
    promote: bool = True,
    ingest_again: bool = False,
    ray: str | None = None,
) -> State[None]:
    """Run what DVC finds stale, each stage as soon as its inputs are there.

    Args:
        profile: profile of profiles/ to write into params.yaml first.
        changes: values to change in params.yaml then, each as section.key=value.
        promote: run the promote stage too.
        ingest_again: read the sources again even if their descriptions are the same.
        ray: address of a Ray cluster that trains the cells.
    """
    try:
        with hold_project(), dead_runs.entered(UUID(flow_run.id)):
            if profile or changes:
                params_file.rewrite(profile, changes or [])
            params_file.check()
            return _run(dvc_graph.stale_stages(promote, ingest_again), ingest_again, ray)
    except BusyError as error:
        return Completed(name="Skipped", message=str(error))
    except Exception as error:  # what is not known is raised again
        return alarm.failed(error)


def _run(stale: dict[str, set[str]], ingest_again: bool, ray: str | None) -> State[None]:
    if not stale:
        return Completed(message="Nothing to do: every result is newer than what it depends on.")
    try:
        require_remote()
    except StoreError as error:  # the run itself goes on
        get_run_logger().warning("The results will stay here: %s", error)
    progress = artifacts.Progress(len(stale))
    states: dict[str, State[Any]] = {}
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=num_slots())
    cluster = ray if any(map(dvc_graph.is_cell, stale)) else None
    with (
        runner,
        ray_cells.connected(cluster) if cluster else nullcontext() as submit_cell,
        live_table.shown(list(stale)) as table,
    ):

        def submit(stage: str, before: Sequence[PrefectFuture[Any]]) -> PrefectFuture[Any]:
            if submit_cell and dvc_graph.is_cell(stage):
                table.started(stage)
                return submit_cell(run_one, stage, before)
            force = ingest_again and dvc_graph.reads_source(stage)
            return runner.submit(run_one, {"stage": stage, "force": force}, wait_for=before)

        try:
            for stage, state in _in_turn(stale, submit):
                states[stage] = state
                progress.another()
                table.ended(stage, state)
        except BaseException:
            dvc_stage.stop_running()
            raise
    artifacts.show_stages({stage: states[stage] for stage in stale if stage in states})
    end = end_of(list(states.values()))
    if end.is_completed() and "promote" in stale:
        artifacts.show_result()
    return end


def _in_turn(
    stale: dict[str, set[str]],
    submit: Callable[[str, Sequence[PrefectFuture[Any]]], PrefectFuture[Any]],
) -> Iterator[tuple[str, State[Any]]]:
    """Run each stage as soon as its inputs are done; yield each stage with its final state."""
    done: dict[str, PrefectFuture[Any]] = {}
    running: dict[PrefectFuture[Any], str] = {}
    waiting = dict(stale)
    while True:
        for stage in [stage for stage, needs in waiting.items() if needs <= done.keys()]:
            before = [done[need] for need in sorted(waiting.pop(stage))]
            running[submit(stage, before)] = stage
        if not running:
            return
        ended = next(as_completed(list(running)))
        ended.wait()
        stage = running.pop(ended)
        if ended.state.is_completed():
            done[stage] = ended
        yield stage, ended.state


def end_of(stages: Sequence[State[Any]]) -> State[None]:
    """Return the run's final state; a stage whose process was stopped has crashed, not failed."""
    wrong = [state for state in stages if state.is_failed() or state.is_crashed()]
    if wrong:
        end = Crashed if any(state.is_crashed() for state in wrong) else Failed
        return end(message=_each_reason_once([str(state.message) for state in wrong]))
    return Completed(message=f"{len(stages)} stages run")


def _each_reason_once(messages: Sequence[str]) -> str:
    """Join messages; stages that failed for the same reason are named together."""
    heads: dict[str, list[str]] = {}
    for message in messages:
        head, failed, reason = message.partition(" failed. ")
        heads.setdefault(failed + reason if reason else message, []).append(head)
    return " ".join(
        reason if reason in stages else " and ".join(stages) + reason
        for reason, stages in heads.items()
    )


def _stop_with(server: OwnServer) -> None:
    """End at once on Ctrl-C: Prefect would try its server for minutes."""
    dvc_stage.stop_running()
    server.stop()
    Console(stderr=True).show_cursor()  # which the table hides
    print("Stopped. What was finished stays: run it again to go on.", file=sys.stderr, flush=True)
    os._exit(128 + signal.SIGINT)


def run(promote: bool = True, ray: str | None = None) -> None:
    """Run the flow on the configured Prefect server, or on a server of its own.

    Raises:
        PipelineError: a stage failed, or what a Ray cluster needs is missing.
    """
    if ray is not None:
        ray_cells.require()
    if get_current_settings().api.url is None:
        server = OwnServer()
        signal.signal(signal.SIGINT, lambda *_: _stop_with(server))
        where: AbstractContextManager[None] = configured(server)
    else:
        where = nullcontext()
    with alarm.of_errors(pipeline.name), live_table.log_to_file(), where:
        state = pipeline(promote=promote, ray=ray, return_state=True)
    if not state.is_completed():
        raise PipelineError(str(state.message))
