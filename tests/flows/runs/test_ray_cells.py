"""Cells on the machines of a cluster: here two nodes of Ray, each with a loopback address."""

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from filelock import FileLock
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.runs import params_file, ray_cells
from pneumo_core.errors import PipelineError
from tasks import project_lock

CELLS = {"train@test_efficientnet-full", "train@test_efficientnet-partial"}
STAGES = ("versions", "ingest", "validate", "dedup", "split", "augment", "train")
LAST = {"sort": "START_TIME_DESC", "limit": 1}
SETS = [
    "validate.image_size_px=32",
    "split.val_per_class=10",
    "augment.size_per_class=40",
    "train.models=[test_efficientnet]",
    "train.strategies=[full, partial]",
    "train.weights=none",
    "train.full.epochs=3",
    "train.partial.epochs=3",
]
NODES = """
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
head = {"node_ip_address": "127.0.0.2", "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args=node | head)
cluster.add_node(node_ip_address="127.0.0.3", **node)
print(cluster.address, flush=True)
input()
cluster.shutdown()
"""
RUN = "import sys; from flows.runs.pipeline import run; run(promote=False, ray=sys.argv[1])"
PATIENCE_S = 300

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("prefect_ray") is None, reason="the extra `ray` is not installed"
)


@pytest.fixture
def project(make_project: Callable[[], Path]) -> Path:
    """Two small cells, and nothing behind them."""
    folder = make_project()
    graph = yaml.safe_load((folder / "dvc.yaml").read_text())
    graph["stages"] = {name: graph["stages"][name] for name in STAGES}
    (folder / "dvc.yaml").write_text(yaml.safe_dump(graph, sort_keys=False))
    films = yaml.safe_load((folder / "sources" / "phantom.yaml").read_text())
    films["train"] |= {"NORMAL": 30, "PNEUMONIA": 50}
    films["test"] |= {"NORMAL": 10, "PNEUMONIA": 15}
    (folder / "sources" / "phantom.yaml").write_text(yaml.safe_dump(films))
    with contextlib.chdir(folder):
        params_file.rewrite(None, SETS)
    return folder


@pytest.fixture
def server(environment: dict[str, str], free_ports: Callable[..., dict[str, int]]) -> Iterator[str]:
    port = free_ports("PREFECT")["PREFECT"]
    process = subprocess.Popen(
        ["prefect", "server", "start", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{port}/api"
    process.terminate()
    process.wait()


@pytest.fixture
def with_token(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """As the page says; Ray keeps the token in the user's folder."""
    there = environment | {"HOME": str(tmp_path), "RAY_AUTH_MODE": "token"}
    command = ["ray", "get-auth-token", "--generate"]
    subprocess.run(command, env=there, check=True, capture_output=True)
    return there


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, environment: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Its address is the first line that it prints. In the end no process of it may be left.

    It asks for tokens where the test has one.
    """
    has_token = "with_token" in request.fixturenames
    there = request.getfixturevalue("with_token") if has_token else environment
    folder = tempfile.mkdtemp(prefix="ray-")  # a short one, for the names of sockets
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", NODES],
        cwd=folder,
        env=there | {"RAY_TMPDIR": folder},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    started = psutil.Process(process.pid).children(recursive=True)
    process.communicate("\n")
    _, alive = psutil.wait_procs(started, timeout=PATIENCE_S)
    shutil.rmtree(folder)
    assert not alive


@pytest.mark.slow
@needs_ray
def test_a_killed_run_leaves_no_stage_and_the_next_ends_as_on_one_machine(
    project: Path,
    server: str,
    cluster: Any,
    environment: dict[str, str],
    with_token: dict[str, str],
) -> None:
    alone = {name: v for name, v in environment.items() if name != "OMP_NUM_THREADS"}  # as on Ray
    subprocess.run(["dvc", "repro", "--quiet"], cwd=project, env=alone, check=True)
    trained = locked(project)
    forget_cells(project)
    wait_until(lambda: httpx.get(f"{server}/health").is_success)
    there = with_token | {"PREFECT_API_URL": server}
    address = cluster.stdout.readline().strip()
    by_ray = [sys.executable, "-c", RUN, address]
    assert_closed_without_the_token(address, with_token)

    with FileLock(project / "var" / "locks" / f"device-{socket.gethostname()}-cpu-0.lock"):
        killed = subprocess.Popen(by_ray, cwd=project, env=there)
        wait_until(
            lambda: (
                len(processes(cluster, "pneumo stage train")) == len(CELLS)
                or killed.poll() is not None
            )
        )
        assert killed.poll() is None
        assert len({worker.ppid() for worker in processes(cluster, "ray::run_one")}) == 2
        stages = processes(cluster, "pneumo stage train")
        killed.kill()
        killed.wait()
        assert not psutil.wait_procs(stages, timeout=PATIENCE_S)[1]
    subprocess.run(by_ray, cwd=project, env=there, check=True)

    assert locked(project) == trained
    (last,) = httpx.post(f"{server}/flow_runs/filter", json=LAST).json()
    ran = httpx.post(
        f"{server}/task_runs/filter", json={"flow_runs": {"id": {"any_": [last["id"]]}}}
    ).json()
    assert {each["name"]: each["state"]["type"] for each in ran} == dict.fromkeys(
        CELLS, "COMPLETED"
    )


def assert_closed_without_the_token(address: str, with_token: dict[str, str]) -> None:
    join = [sys.executable, "-c", "import ray, sys; ray.init(sys.argv[1])", address]
    without = {name: value for name, value in with_token.items() if name != "RAY_AUTH_MODE"}
    wrong = without | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    for others in (without, wrong):
        refused = subprocess.run(join, env=others, capture_output=True, text=True, check=False)
        assert refused.returncode != 0
        assert "auth" in refused.stderr.lower(), refused.stderr


def locked(project: Path) -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return stages


def forget_cells(project: Path) -> None:
    stages = {name: stage for name, stage in locked(project).items() if name not in CELLS}
    (project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    shutil.rmtree(project / "results" / "train")
    shutil.rmtree(project / ".dvc" / "cache" / "runs")


def processes(cluster: subprocess.Popen[str], words: str) -> list[psutil.Process]:
    """Those of the cluster with these words in the command; of zombies there is none to read."""
    found = []
    for process in psutil.Process(cluster.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if words in " ".join(process.cmdline()):
                found.append(process)
    return found


def wait_until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(httpx.HTTPError, psutil.NoSuchProcess):
            if true():
                return
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@needs_ray
def test_a_cluster_that_answers_everybody_gets_no_cells(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = cluster.stdout.readline().strip()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(PipelineError, match="asks for no token"),
        ray_cells.connected(address),
    ):
        pass


@needs_ray
def test_without_a_server_of_its_own_a_run_on_a_cluster_is_refused() -> None:
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(PipelineError, match="PREFECT_API_URL"),
    ):
        ray_cells.require()


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PipelineError, match="extra `ray`"):
        ray_cells.require()


@needs_ray
def test_where_no_cluster_answers_is_said_at_once(free_ports: Any) -> None:
    address = f"127.0.0.1:{free_ports('RAY')['RAY']}"
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(PipelineError, match=f"No Ray cluster at {address}"),
        ray_cells.connected(address),
    ):
        pass


def test_a_machine_without_the_project_or_its_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match="no such project"):
        ray_cells.enter(str(tmp_path / "elsewhere"))
    project_lock.LOCK.parent.mkdir(parents=True)
    with pytest.raises(PipelineError, match="does not see that a run holds"):
        ray_cells.enter(str(tmp_path))
