"""Projects of few films for the tests of whole runs, and a team's services for one of them."""

import contextlib
import json
import os
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

from flows.services import local_postgres
from pneumo_core.errors import PipelineError

EVERY_S = 20  # fires the schedule: longer than a run takes that finds nothing to do
PATIENCE_S = 600  # on a machine that does much else
MOTO = Path(sys.executable).with_name("moto_server")

LOW = {  # bars for a model of seconds
    "min_ci_low": {"auroc": 0.51, "sensitivity": 0.1, "specificity": 0.05},
    "max_ci_high": {"ece": 0.5, "brier": 0.5},
    "worst_group_min_ci_low": {"sensitivity": 0.01},
    "audited": [],  # of so few copies an audit tells little
}
VALUES = (
    "validate.image_size_px=64",
    "split.val_per_class=40",
    "train.strategies=[frozen]",
    "train.frozen.epochs=5",
    "augment.size_per_class=100",
    "evaluate.screening_sensitivity=0.8",
    "evaluate.min_screening_sensitivity=0.8",
    "audit.num_augmented_films=100",
    "audit.num_corrupted_films=20",
    "audit.num_explained_films=20",
    "audit.num_draws=200",
    "report.num_saliency_films=2",
    "report.num_worst_films=1",
)


@pytest.fixture(scope="session")
def make_small_project(make_project: Callable[[], Path]) -> Callable[[], Path]:
    """Makes a project of one cell which takes seconds, and can bear both roles."""
    from flows.runs import params_file

    def make() -> Path:
        project = make_project()
        for path in (project / "mlflow" / "phantom").glob("*.yaml"):
            path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | LOW))
        with edited(project / "sources" / "phantom.yaml") as films:
            films["train"] |= {"NORMAL": 80, "PNEUMONIA": 110}
            films["test"] |= {"NORMAL": 24, "PNEUMONIA": 36}
        with contextlib.chdir(project):
            params_file.rewrite(None, list(VALUES))
        return project

    return make


@pytest.fixture(scope="session")
def trained(
    make_small_project: Callable[[], Path],
    closed_network: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """One that has run, its cell in both roles. Leave results, registry and ledger as they are.

    It runs once for all of pytest's workers, with no network; each has a copy.
    """
    base = tmp_path_factory.getbasetemp()
    common = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    original = common / "trained"
    with FileLock(common / "trained.lock"):
        if not original.exists():
            project = make_small_project()
            there = closed_network | {"PNEUMO_NETWORK_LOG": str(project / "asked")}
            result = subprocess.run(
                ["pneumo", "run"], cwd=project, env=there, capture_output=True, text=True
            )
            assert result.returncode == 0, result.stdout + result.stderr
            original.symlink_to(project)
    mine = tmp_path_factory.mktemp("trained") / "project"
    shutil.copytree(original, mine, symlinks=True)
    return mine


class Team:
    """The services, the project that their worker runs, and Prefect's API."""

    cell = "train@test_efficientnet-full"
    stages = ("ingest", "validate", "dedup", "split", "augment", cell)
    num_epochs = 30
    params = (
        "validate.image_size_px=32",
        "split.val_per_class=10",
        "augment.size_per_class=40",
        "train.models=[test_efficientnet]",
        "train.strategies=[full]",
        "train.weights=none",
        f"train.full.epochs={num_epochs}",
    )

    def __init__(self, project: Path, services: subprocess.Popen[bytes], ports: dict[str, int]):
        self.project, self._services = project, services
        self.mlflow = f"http://127.0.0.1:{ports['MLFLOW_PORT']}"
        self._api = f"http://127.0.0.1:{ports['PREFECT_PORT']}/api"

    def ask(self, path: str, **query: Any) -> Any:
        """Prefect's answer, by POST where there is a query."""
        answer = self.request(path, query, self._login)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def request(
        self, path: str, query: dict[str, Any], login: tuple[str, str] | None, **headers: str
    ) -> httpx.Response:
        request = {"method": "POST", "json": query} if query else {"method": "GET"}
        return httpx.request(
            url=self._api + path, auth=login, headers=headers, timeout=60, **request
        )

    @property
    def _login(self) -> tuple[str, str]:
        secret = self.project / "var" / "services" / "prefect_password"
        assert secret.stat().st_mode & 0o777 == 0o600
        return ("pneumo", secret.read_text())

    def deployment(self, name: str) -> dict[str, Any]:
        return self.ask(f"/deployments/name/pneumo/{name}")

    def start_run(self) -> str:
        path = f"/deployments/{self.deployment('retrain')['id']}/create_flow_run"
        return self.ask(path, state={"type": "SCHEDULED"})["id"]

    def state_of(self, run: str) -> dict[str, Any]:
        return self.ask(f"/flow_runs/{run}")["state"]

    def end_of(self, run: str) -> dict[str, Any]:
        """Its final state, once it is there."""
        final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        self.wait_until(lambda: self.state_of(run)["type"] in final)
        return self.state_of(run)

    def task_runs(self, run: str) -> list[dict[str, Any]]:
        return self.ask("/task_runs/filter", flow_runs={"id": {"any_": [run]}})

    def log_of(self, run: str) -> list[str]:
        lines = self.ask("/logs/filter", logs={"flow_run_id": {"any_": [run]}}, limit=200)
        return [line["message"] for line in lines]

    def process_of(self, words: str) -> psutil.Process:
        """The outermost of the services' processes with these words in its command."""
        for process in psutil.Process(self._services.pid).children(recursive=True):
            if words in " ".join(process.cmdline()):
                return process
        raise AssertionError(f"no process {words!r}")

    def wait_for_training(self) -> None:
        self.wait_until(lambda: list(self.project.glob("var/checkpoints/*full.pt")))

    @staticmethod
    def wait_until(true: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if true():
                    return
            except (httpx.HTTPError, FileNotFoundError):
                pass  # a server that was killed, a file that is not yet there
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def alarms(self) -> list[dict[str, Any]]:
        file = self.project / "var" / "failed_runs.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]

    def locked(self) -> dict[str, Any]:
        return yaml.safe_load((self.project / "dvc.lock").read_text())["stages"]

    def forget_training(self) -> None:
        """The cell is as if it had never been trained."""
        stages = self.locked()
        del stages[self.cell]
        (self.project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
        shutil.rmtree(self.project / "results" / "train")
        shutil.rmtree(self.project / ".dvc" / "cache" / "runs")


@pytest.fixture(scope="session")
def free_ports() -> Callable[..., dict[str, int]]:
    def find(*names: str) -> dict[str, int]:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return dict(zip(names, ports, strict=True))

    return find


@pytest.fixture(scope="session")
def nightly_project(make_project: Callable[[], Path]) -> Path:
    """Few films, a graph that ends with one small cell, a schedule of seconds."""
    from flows.runs import params_file

    project = make_project()
    with edited(project / "dvc.yaml") as graph:
        for name in graph["stages"].keys() - {stage.partition("@")[0] for stage in Team.stages}:
            del graph["stages"][name]
    with edited(project / "prefect.yaml") as prefect:
        retrain = prefect["deployments"][0]
        assert retrain["schedules"][0]["cron"] == "0 3 * * *"
        retrain["schedules"] = [{"interval": EVERY_S}]
    with edited(project / "sources" / "phantom.yaml") as films:
        films["train"] |= {"NORMAL": 30, "PNEUMONIA": 50}
        films["test"] |= {"NORMAL": 10, "PNEUMONIA": 15}
    with contextlib.chdir(project):
        params_file.rewrite(None, list(Team.params))
    return project


@contextlib.contextmanager
def edited(file: Path) -> Iterator[Any]:
    content = yaml.safe_load(file.read_text())
    yield content
    file.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="session")
def team(
    nightly_project: Path,
    environment: dict[str, str],
    free_ports: Callable[..., dict[str, int]],
) -> Iterator[Team]:
    try:
        local_postgres.programs()
    except PipelineError as error:
        pytest.skip(str(error))
    ports = free_ports("POSTGRES_PORT", "MLFLOW_PORT", "PREFECT_PORT", "WORKER_PORT", "S3_PORT")
    database = Path(tempfile.mkdtemp(prefix="pneumo-postgres-"))
    database.chmod(0o755)  # PostgreSQL is not root, whose alone the way to pytest's folders may be
    there = environment | {name: str(port) for name, port in ports.items()}
    there |= {
        "POSTGRES_DATA": str(database / "cluster"),
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{ports['S3_PORT']}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PNEUMO_ON_FAILURE": "cat >> notified",
    }
    quietly = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    s3 = subprocess.Popen([MOTO, "-p", str(ports["S3_PORT"])], **quietly)
    log = nightly_project / "services.log"
    with log.open("wb") as output:
        services = subprocess.Popen(
            ["pneumo", "services"], cwd=nightly_project, env=there, stdout=output, stderr=output
        )
    try:
        Team.wait_until(
            lambda: services.poll() is not None or "All services are up" in log.read_text()
        )
        assert services.poll() is None, log.read_text()
        yield Team(nightly_project, services, ports)
    finally:
        services.terminate()
        services.wait()
        s3.kill()
        s3.wait()
        shutil.rmtree(database)
