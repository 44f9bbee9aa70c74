"""The pipeline as a Prefect flow: the stages of `dvc.yaml`, each run by DVC, cells in parallel."""

import sys
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.client.schemas import State
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from pneumo_core.errors import PipelineError
from tasks import dvc_graph
from tasks.device_lock import num_slots
from tasks.dvc_stage import run_stage


@task(task_run_name="{stage}")
def run_one(stage: str, force: bool = False) -> State[None]:
    """A terminal shows the stage's own progress bars, a log its lines."""
    try:
        run_stage(stage, None if sys.stderr.isatty() else get_run_logger().info, force)
    except PipelineError as error:
        return Failed(message=str(error))
    return Completed(message=f"{stage} is done")


@flow(name="pneumo")
def pipeline(promote: bool = True, ingest_again: bool = False) -> State[None]:
    """Runs what DVC finds stale, each stage as soon as what it needs is there.

    Args:
        promote: False stops before the registry is asked.
        ingest_again: Look into the source even if its description is the same.
    """
    futures: dict[str, PrefectFuture[Any]] = {}
    for stage, needs in dvc_graph.stale_stages(promote, ingest_again).items():
        before = [futures[need] for need in sorted(needs)]
        force = ingest_again and stage == dvc_graph.INGEST
        futures[stage] = run_one.submit(stage, force, wait_for=before)
    for future in futures.values():
        future.wait()
    failed = [future.state.message for future in futures.values() if future.state.is_failed()]
    if failed:
        return Failed(message=" ".join(map(str, failed)))
    return Completed(message=f"{len(futures)} stages run")


def run(promote: bool = True) -> None:
    """Runs the flow on the Prefect server that is configured, or on one of its own.

    Raises:
        PipelineError: a stage failed.
    """
    by_device = pipeline.with_options(task_runner=ThreadPoolTaskRunner(max_workers=num_slots()))
    state = by_device(promote, return_state=True)
    if not state.is_completed():
        raise PipelineError(str(state.message))
