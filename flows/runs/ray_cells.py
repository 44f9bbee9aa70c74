"""Training cells on the machines of a Ray cluster, which all see the project at one path.

A cell gets a GPU of its own; in a cluster without GPUs, a machine of its own.
"""

import importlib.util
import math
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.exceptions import ObjectNotFound
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings
from prefect.states import Crashed

from pneumo_core.errors import PipelineError
from tasks import project_lock, telemetry_off
from tasks.graph.dvc_stage import environment

Submit = Callable[[Task[..., Any], str, Sequence[PrefectFuture[Any]]], PrefectFuture[Any]]

MLFLOW = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
FORWARDED = (*telemetry_off.DEFAULTS, *MLFLOW)  # variables for every worker
PATIENCE_S = 10


def require() -> str:
    """Return the address of the Prefect server that the workers report to.

    Raises:
        PipelineError: the extra is not installed, or no server is configured.
    """
    if importlib.util.find_spec("prefect_ray") is None:
        raise PipelineError("A Ray cluster needs the extra `ray`, which `make ray` installs.")
    url = get_current_settings().api.url
    if url is None:
        raise PipelineError(
            "The machines of a Ray cluster need a Prefect server that all of them reach: "
            "set PREFECT_API_URL."
        )
    return url


@contextmanager
def connected(address: str) -> Iterator[Submit]:
    """Yield a function that submits a cell once all that it needs has ended.

    Cells that still run at the end of the context are killed.

    Raises:
        PipelineError: as `require`, no cluster answers at the address, or it answers everybody.
    """
    variables = {name: os.environ[name] for name in FORWARDED if name in os.environ}
    variables["PREFECT_API_URL"] = require()
    if login := get_current_settings().api.auth_string:
        variables["PREFECT_API_AUTH_STRING"] = login.get_secret_value()
    from prefect_ray import RayTaskRunner
    from prefect_ray.context import remote_options

    # As an argument of its own, the address "auto" would start a cluster where there is none.
    runner: RayTaskRunner[Any] = RayTaskRunner(
        init_kwargs={"address": address, "runtime_env": {"env_vars": variables}}
    )
    cells: list[PrefectFuture[Any]] = []

    def submit(
        task: Task[..., Any], stage: str, needs: Sequence[PrefectFuture[Any]]
    ) -> PrefectFuture[Any]:
        for need in needs:
            need.wait()
        states = [need.state for need in needs]  # a future cannot leave this process
        with remote_options(**_share(), max_retries=0):
            named = {"stage": stage, "project": str(Path.cwd())}
            cells.append(runner.submit(task, named, wait_for=states))
        return cells[-1]

    with _joined(runner, address):
        try:
            yield submit
        finally:
            _report_lost(cells)


def enter(project: str) -> None:
    """Prepare a worker's process to run a stage in the project.

    Raises:
        PipelineError: its machine does not share the project, or not its locks.
    """
    host = socket.gethostname()
    try:
        os.chdir(project)
    except OSError as error:
        raise PipelineError(f"{host} has no such project: {error}") from error
    if not project_lock.is_held_elsewhere():
        raise PipelineError(f"{host} does not see that a run holds {project}.")
    os.environ.pop("OMP_NUM_THREADS", None)  # set by Ray; sums in another order are others
    get_run_logger().info("Runs on %s", host)


@contextmanager
def _joined(runner: Any, address: str) -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _check_reachable(address)
        _check_closed(address)
        runner.__enter__()
    except (OSError, RuntimeError, SystemExit) as error:  # Ray gives up by SystemExit
        raise PipelineError(f"No Ray cluster at {address}: {error}") from error
    try:
        signal.signal(signal.SIGTERM, handler)  # with Ray's own, the process is aborted after 3 s
        yield
    finally:
        runner.__exit__(None, None, None)


def _check_reachable(address: str) -> None:
    """Raise OSError without a server at the address; Ray would try for five minutes."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=PATIENCE_S).close()


def _check_closed(address: str) -> None:
    """Raise PipelineError unless the cluster refuses whoever has no token."""
    nobody = {name: value for name, value in environment().items() if "RAY_AUTH" not in name}
    asked = ["ray", "status", "--address", address]
    answer = subprocess.run(asked, env=nobody, capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        raise PipelineError(
            f"The Ray cluster at {address} asks for no token: whoever reaches it can run commands "
            "on its machines. Stop it ('ray stop'), make a token by 'ray get-auth-token "
            "--generate', copy ~/.ray/auth_token to every machine, and set RAY_AUTH_MODE=token "
            "there before 'ray start', and here."
        )
    if "authentication" not in answer.stderr:
        raise PipelineError(
            f"Nobody can say whether the Ray cluster at {address} asks for a token: 'ray status' "
            f"fails with {answer.stderr.strip()[-300:] or 'no word'}"
        )


def _share() -> dict[str, float]:
    """Return one cell's share of the cluster. Ray waits for ever for a GPU that no machine has."""
    import ray

    if ray.cluster_resources().get("GPU"):
        return {"num_gpus": 1}
    return {"num_cpus": min(node["Resources"].get("CPU") or math.inf for node in ray.nodes())}


def _report_lost(cells: Sequence[PrefectFuture[Any]]) -> None:
    """Report to Prefect the cells whose worker was killed, or is killed as the context ends."""
    crashed: State[Any] = Crashed(message="Its process on the Ray cluster was killed.")
    with get_client(sync_client=True) as client:
        for cell in cells:
            if cell.state.is_crashed() or cell.state.is_running() or cell.state.is_scheduled():
                with suppress(ObjectNotFound):  # it had not begun
                    client.set_task_run_state(cell.task_run_id, crashed, force=True)
