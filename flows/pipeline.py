"""The pipeline as a Prefect flow: the stages of `dvc.yaml`, each run by DVC, cells in parallel."""

import sys
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from tasks import dvc_graph
from tasks.device_lock import num_slots
from tasks.dvc_stage import run_stage


@task(task_run_name="{stage}")
def run_one(stage: str) -> None:
    """A terminal shows the stage's own progress bars, a log its lines."""
    run_stage(stage, log=None if sys.stderr.isatty() else get_run_logger().info)


@flow(name="pneumo", task_runner=ThreadPoolTaskRunner(max_workers=1))
def pipeline() -> None:
    """Runs what DVC finds stale, each stage as soon as what it needs is there."""
    futures: dict[str, PrefectFuture[Any]] = {}
    for stage, needs in dvc_graph.stale_stages().items():
        before = [futures[need] for need in sorted(needs)]
        futures[stage] = run_one.submit(stage, wait_for=before)
    for future in futures.values():
        future.result()


def run() -> None:
    """Runs the flow on the Prefect server that is configured, or on one of its own."""
    pipeline.with_options(task_runner=ThreadPoolTaskRunner(max_workers=num_slots()))()
