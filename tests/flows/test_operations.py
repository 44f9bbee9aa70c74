"""A team's services for real: schedules that fire, and what a kill in the middle leaves.

PostgreSQL, MLflow, Prefect and its worker as `make services` starts them, S3 by moto; one project,
whose graph is cut after the training of one small cell. The tests go on from one another.
"""

import json
import os
import shutil
import signal
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

from flows import local_postgres
from pneumo_core.errors import PipelineError

EVERY_S = 40
PATIENCE_S = 600  # on a machine that does much else
CELL = "train@test_efficientnet-full"
STAGES = ["ingest", "validate", "dedup", "split", "augment", CELL]
NUM_EPOCHS = 30
MOTO = Path(sys.executable).with_name("moto_server")
SMALL = [
    "validate.image_size_px=32",
    "split.val_per_class=10",
    "augment.size_per_class=40",
    "train.models=[test_efficientnet]",
    "train.strategies=[full]",
    "train.weights=none",
    f"train.full.epochs={NUM_EPOCHS}",
]


class Team:
    """The services, the project that their worker runs, and Prefect's API."""

    def __init__(self, project: Path, process: subprocess.Popen[bytes], ports: dict[str, int]):
        self.project, self._process = project, process
        self.mlflow = f"http://127.0.0.1:{ports['MLFLOW_PORT']}"
        self._api = httpx.Client(
            base_url=f"http://127.0.0.1:{ports['PREFECT_PORT']}/api", timeout=60
        )

    def close(self) -> None:
        self._api.close()

    def ask(self, path: str, **query: Any) -> Any:
        answer = self._api.post(path, json=query) if query else self._api.get(path)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        return self.ask(f"/deployments/name/pneumo/{name}")

    def start_run(self) -> str:
        path = f"/deployments/{self.deployment('retrain')['id']}/create_flow_run"
        return self.ask(path, state={"type": "SCHEDULED"})["id"]

    def state_of(self, run_id: str) -> dict[str, Any]:
        return self.ask(f"/flow_runs/{run_id}")["state"]

    def end_of(self, run_id: str) -> dict[str, Any]:
        """The final state, once it is there."""
        final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        wait_until(lambda: self.state_of(run_id)["type"] in final)
        return self.state_of(run_id)

    def task_runs(self, run_id: str) -> list[dict[str, Any]]:
        return self.ask("/task_runs/filter", flow_runs={"id": {"any_": [run_id]}})

    def process_of(self, words: str) -> psutil.Process:
        """The outermost of the services' processes with these words in its command."""
        for process in psutil.Process(self._process.pid).children(recursive=True):
            if words in " ".join(process.cmdline()):
                return process
        raise AssertionError(f"no process {words!r}")

    def wait_for_training(self) -> None:
        wait_until(lambda: list(self.project.glob("var/checkpoints/*full.pt")))

    def alarms(self) -> list[dict[str, Any]]:
        file = self.project / "var" / "failed_runs.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]

    def locked(self) -> dict[str, Any]:
        return yaml.safe_load((self.project / "dvc.lock").read_text())["stages"]

    def forget_training(self) -> None:
        """The cell is as if it had never been trained."""
        stages = self.locked()
        del stages[CELL]
        (self.project / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
        shutil.rmtree(self.project / "results" / "train")
        shutil.rmtree(self.project / ".dvc" / "cache" / "runs")


def wait_until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if true():
                return
        except (httpx.HTTPError, FileNotFoundError):
            pass  # a server that was killed
        assert time.monotonic() < deadline
        time.sleep(0.2)


def free_ports(*names: str) -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(names, ports, strict=True))


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Path]) -> Path:
    """Few films, a graph that ends with one small cell, a schedule of seconds."""
    from flows import params_file

    project = make_project()
    graph = yaml.safe_load((project / "dvc.yaml").read_text())
    names = {stage.partition("@")[0] for stage in STAGES}
    graph["stages"] = {name: graph["stages"][name] for name in graph["stages"] if name in names}
    (project / "dvc.yaml").write_text(yaml.safe_dump(graph, sort_keys=False))
    deployments = yaml.safe_load((project / "prefect.yaml").read_text())
    retrain = deployments["deployments"][0]
    assert retrain["schedules"][0]["cron"] == "0 3 * * *"
    retrain["schedules"] = [{"interval": EVERY_S}]
    (project / "prefect.yaml").write_text(yaml.safe_dump(deployments))
    phantom = project / "sources" / "phantom.yaml"
    films = yaml.safe_load(phantom.read_text())
    films["train"] |= {"NORMAL": 30, "PNEUMONIA": 50}
    films["test"] |= {"NORMAL": 10, "PNEUMONIA": 15}
    phantom.write_text(yaml.safe_dump(films))
    before = Path.cwd()
    os.chdir(project)
    try:
        params_file.rewrite(None, SMALL)
    finally:
        os.chdir(before)
    return project


@pytest.fixture(scope="module")
def team(project: Path, environment: dict[str, str]) -> Iterator[Team]:
    try:
        local_postgres.programs()
    except PipelineError as error:
        pytest.skip(str(error))
    ports = free_ports("POSTGRES_PORT", "MLFLOW_PORT", "PREFECT_PORT", "WORKER_PORT", "S3_PORT")
    database = Path(tempfile.mkdtemp(prefix="pneumo-postgres-"))
    database.chmod(0o755)  # PostgreSQL is not root, which may own the way to pytest's folders
    there = environment | {name: str(port) for name, port in ports.items()}
    there |= {
        "POSTGRES_DATA": str(database / "cluster"),
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{ports['S3_PORT']}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",
        "PNEUMO_ON_FAILURE": f"tee --append {database}/alarm > /dev/null",
    }
    s3 = subprocess.Popen(
        [MOTO, "-p", str(ports["S3_PORT"])],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    log = project / "services.log"
    with log.open("wb") as said:
        services = subprocess.Popen(
            ["pneumo", "services"], cwd=project, env=there, stdout=said, stderr=said
        )
    try:
        wait_until(lambda: services.poll() is not None or "All is well" in log.read_text())
        assert services.poll() is None, log.read_text()
        team = Team(project, services, ports)
        yield team
        team.close()
    finally:
        services.terminate()
        services.wait()
        s3.kill()
        s3.wait()
        shutil.rmtree(database)


def test_a_schedule_fires_by_itself_and_the_second_run_finds_nothing_to_do(team: Team) -> None:
    retrain = team.deployment("retrain")

    def ended() -> list[dict[str, Any]]:
        return team.ask(
            "/flow_runs/filter",
            deployments={"id": {"any_": [retrain["id"]]}},
            flow_runs={"state": {"name": {"any_": ["Completed"]}}},  # and not Skipped
            sort="START_TIME_ASC",
        )

    wait_until(lambda: len(ended()) > 1)
    team.ask(f"/deployments/{retrain['id']}/pause_deployment", force=True)
    first, second = ended()[:2]
    assert {run["auto_scheduled"] for run in (first, second)} == {True}
    assert first["state"]["message"] == f"{len(STAGES)} stages run"
    assert second["state"]["message"].startswith("Nothing to do")
    assert team.task_runs(second["id"]) == []
    assert list(team.locked()) == STAGES


def test_a_run_shows_its_stages_its_progress_and_its_lines(team: Team) -> None:
    """Of the first run, by the schedule."""
    (run,) = team.ask("/flow_runs/filter", sort="START_TIME_ASC", limit=1)
    found = team.ask("/artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
    shown = {each["key"]: each["data"] for each in found}
    assert shown["progress"] == 100
    assert [row["stage"] for row in json.loads(shown["stages"])] == STAGES
    lines = team.ask("/logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200)
    said = [line["message"] for line in lines]
    assert any(line.startswith("ingest: ") for line in said)
    assert any("ends with validation AUROC" in line for line in said)


def test_parameters_are_a_form(team: Team) -> None:
    form = team.deployment("study")["parameter_openapi_schema"]["properties"]
    offered = form["profile"]["anyOf"][0]["enum"]
    assert sorted(offered) == sorted(path.stem for path in team.project.glob("profiles/*.yaml"))
    assert "params.yaml" in form["profile"]["description"]
    assert "section.key=value" in form["changes"]["description"]
    assert team.deployment("study")["parameters"] == {"profile": "study"}


def test_a_run_killed_with_its_worker_is_reported_and_blocks_nothing(team: Team) -> None:
    trained = team.locked()[CELL]["outs"]
    team.forget_training()
    killed = team.start_run()
    team.wait_for_training()
    lines = team.ask("/logs/filter", logs={"flow_run_id": {"any_": [killed]}}, limit=200)
    assert any(line["message"].startswith("> pneumo stage train") for line in lines)
    dead = [team.process_of(words) for words in ("prefect worker", "pneumo stage train")]
    dead[0].kill()
    psutil.wait_procs(dead, PATIENCE_S)
    assert team.state_of(killed)["type"] == "RUNNING"  # and would be for ever

    interrupted = team.start_run()
    wait_until(lambda: team.state_of(killed)["type"] == "CRASHED")
    assert {run["state"]["type"] for run in team.task_runs(killed)} == {"CRASHED"}
    assert team.alarms()[-1]["run_id"] == killed
    team.wait_for_training()
    team.process_of("pneumo stage train").kill()  # as one for want of memory: the cell alone
    assert team.end_of(interrupted)["type"] == "FAILED"
    assert team.alarms()[-1]["run_id"] == interrupted
    assert f"Stage {CELL} failed" in team.alarms()[-1]["message"]

    assert team.end_of(team.start_run())["type"] == "COMPLETED"
    assert team.locked()[CELL]["outs"] == trained
    for lock in (team.project / "var" / "locks").glob("*.lock"):
        FileLock(lock).acquire(blocking=False).lock.release()
    assert team.ask("/v2/concurrency_limits/filter", limit=10) == []


def test_a_run_outlives_its_servers(team: Team) -> None:
    """Prefect's server killed and PostgreSQL crashed while a cell trains: no gap, the same end."""
    trained = team.locked()[CELL]["outs"]
    team.forget_training()
    run = team.start_run()
    team.wait_for_training()
    team.process_of("prefect server").kill()
    team.process_of("bin/postgres").send_signal(signal.SIGQUIT)
    assert team.end_of(run)["type"] == "COMPLETED"
    assert team.locked()[CELL]["outs"] == trained
    import mlflow

    client = mlflow.MlflowClient(team.mlflow)
    (experiment,) = client.search_experiments(filter_string="name = 'pneumo'")
    last = client.search_runs([experiment.experiment_id], order_by=["start_time DESC"])[0]
    curve = client.get_metric_history(last.info.run_id, "val_auroc")
    assert [point.step for point in curve] == list(range(1, NUM_EPOCHS + 1))
    assert last.info.status == "FINISHED"


def test_a_source_that_does_not_answer_is_asked_again(team: Team) -> None:
    """An S3 store that is there some seconds late; what it then holds is no film, for good."""
    (port,) = free_ports("late").values()
    source = {"kind": "s3", "bucket": "films", "endpoint_url": f"http://127.0.0.1:{port}"}
    (team.project / "sources" / "late.yaml").write_text(yaml.safe_dump(source))
    params = team.project / "params.yaml"
    params.write_text(params.read_text().replace("sources/phantom.yaml", "sources/late.yaml"))
    run = team.start_run()
    wait_until(lambda: "AwaitingRetry" in {each["state"]["name"] for each in team.task_runs(run)})
    with subprocess.Popen([MOTO, "-p", str(port)], stderr=subprocess.DEVNULL) as late:
        end = team.end_of(run)
        late.kill()
    assert end["type"] == "FAILED"
    assert "NoSuchBucket" in end["message"]
    (ingest,) = (each for each in team.task_runs(run) if each["name"] == "ingest")
    assert ingest["run_count"] == 2
