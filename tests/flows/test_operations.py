"""A team's services for real: schedules that fire, and what a kill in the middle leaves.

PostgreSQL, MLflow, Prefect and its worker as `make services` starts them, S3 by moto; one project,
whose graph is cut after the training of one small cell. The tests go on from one another.
"""

import json
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import websockets
import yaml
from filelock import FileLock
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from websockets.sync.client import connect

from flows.runs import monitoring
from pneumo_core.inference.drift import FigureDrift, Findings
from pneumo_core.params import MonitorParams

ROOT = Path(__file__).parents[2]
DRIFT = FigureDrift("std", "contrast", 0.4, 1e-5, 50.0, 70.0, drifted=True)
DRIFTED = Findings(
    "elsewhere", "pneumo@champion", 30, 30, 0, 0, 25, 60, (DRIFT,), MonitorParams(), False
)
STAGE = "pneumo stage train"


def test_a_schedule_fires_by_itself_and_the_second_run_finds_nothing_to_do(team: Any) -> None:
    retrain = team.deployment("retrain")

    def ended() -> list[dict[str, Any]]:
        return team.ask(
            "/flow_runs/filter",
            deployments={"id": {"any_": [retrain["id"]]}},
            flow_runs={"state": {"name": {"any_": ["Completed"]}}},  # and not Skipped
            sort="START_TIME_ASC",
        )

    team.wait_until(lambda: len(ended()) > 1)
    team.ask(f"/deployments/{retrain['id']}/pause_deployment", force=True)
    first, second = ended()[:2]
    assert {run["auto_scheduled"] for run in (first, second)} == {True}
    assert re.fullmatch(r"retrain 20\d\d-\d\d-\d\d \d\d:\d\d", first["name"])
    assert first["state"]["message"] == f"{len(team.stages)} stages run"
    assert second["state"]["message"].startswith("Nothing to do")
    assert team.task_runs(second["id"]) == []
    assert list(team.locked()) == list(team.stages)


def test_a_failure_and_a_drift_are_sent_as_notifications(
    team: Any,
    served: Callable[[type[BaseHTTPRequestHandler]], AbstractContextManager[str]],
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    """By `automations.yaml`, as docs/operations.md says, to a chat on loopback."""
    sent: list[str] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

    login = f"pneumo:{team.password('prefect_password')}"
    here = {PREFECT_API_URL: team.api, PREFECT_API_AUTH_STRING: login}
    with served(Chat) as chat, temporary_settings(here):
        text = {"text": "{{subject}}\n{{body}}"}
        block = CustomWebhookNotificationBlock(name="chat", url=chat, json_data=text).save("chat")
        template = (ROOT / "automations.yaml").read_text()
        filled = tmp_path / "automations.yaml"
        filled.write_text(template.replace("00000000-0000-0000-0000-000000000000", str(block)))
        subprocess.run(
            ["prefect", "automation", "create", "--from-file", filled],
            env=environment | {"PREFECT_API_URL": team.api, "PREFECT_API_AUTH_STRING": login},
            check=True,
        )
        monitoring.call_for_training(DRIFTED)
        run = team.start_run("study", profile=None, changes=["split.colour=3"])
        assert team.end_of(run)["type"] == "FAILED"
        team.wait_until(lambda: len(sent) == 2)
    team.wait_until(lambda: not team.processes_of("prefect.engine"))  # which sends its log at last
    drift, failure = sorted(sent)
    assert drift.startswith("elsewhere is unlike the training data\npneumo@champion: contrast")
    assert re.match(r"study 20\d\d-\d\d-\d\d \d\d:\d\d: Failed\n", failure)
    assert "unknown key split.colour" in failure
    shown = [line["message"] for line in team.errors_of(run)]
    assert shown == [
        "Run " + failure.partition(": Failed")[0] + " of pneumo: unknown key split.colour"
    ]
    assert f"{team.api.removesuffix('/api')}/runs/flow-run/{run}" in failure


def test_no_page_and_nobody_without_the_login_may_use_prefect(team: Any) -> None:
    """All routes that the server describes, and a page whose name was bound to this address."""
    described = team.ask("/openapi.json")["paths"]
    routes = [(method, path) for path, methods in described.items() for method in methods]
    assert len(routes) > 150
    nobody: list[dict[str, Any]] = [
        {},
        {"auth": ("pneumo", "wrong")},
        {"headers": {"Origin": "https://evil.example"}},
        {"headers": {"Host": "evil.example"}},
    ]
    open_to_all = set()
    with httpx.Client(base_url=team.api, timeout=60) as client:
        for method, path in routes:
            filled = re.sub(r"{[^}]*}", str(uuid.UUID(int=1)), path.removeprefix("/api"))
            answers = [client.request(method, filled, **sent) for sent in nobody]
            assert not any("access-control-allow-origin" in each.headers for each in answers)
            if {each.status_code for each in answers} != {401}:
                open_to_all.add((method, filled))
    assert open_to_all == {("get", "/health"), ("get", "/ready")}


@pytest.mark.parametrize(
    "path",
    [
        "events/in",
        "events/out",
        "logs/out",
        "task_runs/subscriptions/scheduled",
        "work_pools/local/workers/connect",
    ],
)
def test_no_socket_of_prefect_is_open_without_the_login(team: Any, path: str) -> None:
    """To a page of another origin a browser's rules leave sockets open; Prefect asks first."""
    address = f"{team.api.replace('http', 'ws')}/{path}"
    with pytest.raises(websockets.exceptions.WebSocketException), connect(address) as socket:
        socket.recv(5)
    with connect(address, subprotocols=[websockets.Subprotocol("prefect")]) as socket:
        socket.send(json.dumps({"type": "auth", "token": "pneumo:wrong"}))
        with pytest.raises(websockets.exceptions.ConnectionClosedError) as refused:
            socket.recv(5)
    assert refused.value.rcvd is not None
    assert refused.value.rcvd.code == 1008


def test_a_run_shows_its_stages_its_progress_and_its_lines(team: Any) -> None:
    """Look at the first run, which the schedule started."""
    (run,) = team.ask("/flow_runs/filter", sort="START_TIME_ASC", limit=1)
    found = team.ask("/artifacts/filter", flow_runs={"id": {"any_": [run["id"]]}})
    shown = {each["key"]: each["data"] for each in found}
    assert shown["progress"] == 100
    assert [row["stage"] for row in json.loads(shown["stages"])] == list(team.stages)
    lines = team.log_of(run["id"])
    assert any(line.startswith("ingest: ") for line in lines)
    assert any("ends with validation AUROC" in line for line in lines)


def test_parameters_are_a_form(team: Any) -> None:
    study = team.deployment("study")
    form = study["parameter_openapi_schema"]["properties"]
    offered = form["profile"]["anyOf"][0]["enum"]
    assert sorted(offered) == sorted(path.stem for path in team.project.glob("profiles/*.yaml"))
    assert "params.yaml" in form["profile"]["description"]
    assert "section.key=value" in form["changes"]["description"]
    assert study["parameters"] == {"profile": "study"}


def test_a_run_killed_with_its_worker_is_reported_and_blocks_nothing(team: Any) -> None:
    """The run after it has its cell killed, as for want of memory; the third ends as the first."""
    trained = team.locked()[team.cell]["outs"]
    team.forget_training()
    killed = team.start_run()
    team.wait_for_training()
    stage = team.process_of(STAGE)
    for dead in [team.process_of(words) for words in ("prefect.engine", "prefect worker")]:
        dead.kill()  # at once, as when a container is killed
    psutil.wait_procs([stage])
    team.wait_until(lambda: team.state_of(killed)["type"] == "CRASHED")  # by the worker's successor
    assert {run["state"]["type"] for run in team.task_runs(killed)} == {"CRASHED"}
    team.wait_until(lambda: team.alarms()[-1]["run_id"] == killed)

    interrupted = team.start_run()
    team.wait_until(lambda: team.processes_of(STAGE))
    team.process_of(STAGE).kill()
    assert team.end_of(interrupted)["type"] == "FAILED"
    team.wait_until(lambda: team.alarms()[-1]["run_id"] == interrupted)
    assert f"Stage {team.cell} failed" in team.alarms()[-1]["message"]
    assert (team.project / "notified").read_text().count(interrupted) == 1

    assert team.end_of(team.start_run())["type"] == "COMPLETED"
    assert team.locked()[team.cell]["outs"] == trained
    for path in (team.project / "var" / "locks").glob("*.lock"):
        with FileLock(path, blocking=False):
            pass
    assert team.ask("/v2/concurrency_limits/filter", limit=10) == []


def test_nobody_without_a_login_may_use_mlflow(team: Any) -> None:
    """With PostgreSQL; every route and role is in tests/tasks/registry/test_members.py."""
    url = f"{team.mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=pneumo"
    login = ("pneumo", team.password("mlflow_password"))
    assert [httpx.get(url, auth=auth).status_code for auth in (None, ("pneumo", "a"), login)] == [
        401,
        401,
        200,
    ]


def test_a_run_outlives_its_servers(team: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect's server killed and PostgreSQL crashed while a cell trains: no gap, the same end."""
    trained = team.locked()[team.cell]["outs"]
    team.forget_training()
    run = team.start_run()
    team.wait_for_training()
    team.process_of("prefect server").kill()
    team.process_of("bin/postgres").send_signal(signal.SIGQUIT)
    assert team.end_of(run)["type"] == "COMPLETED"
    assert team.locked()[team.cell]["outs"] == trained
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "pneumo")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", team.password("mlflow_password"))
    client = mlflow.MlflowClient(team.mlflow)
    (experiment,) = client.search_experiments(filter_string="name = 'pneumo'")
    last = client.search_runs([experiment.experiment_id], order_by=["start_time DESC"])[0]
    curve = client.get_metric_history(last.info.run_id, "val_auroc")
    assert [point.step for point in curve] == list(range(1, team.num_epochs + 1))
    assert last.info.status == "FINISHED"


def test_a_source_that_does_not_answer_is_asked_again(
    team: Any, free_ports: Callable[..., dict[str, int]]
) -> None:
    """An S3 store that is there some seconds late; that it lacks the bucket does not pass."""
    port = free_ports("late")["late"]
    source = {"kind": "s3", "bucket": "films", "endpoint_url": f"http://127.0.0.1:{port}"}
    (team.project / "sources" / "late.yaml").write_text(yaml.safe_dump(source))
    params = team.project / "params.yaml"
    params.write_text(params.read_text().replace("sources/phantom.yaml", "sources/late.yaml"))
    run = team.start_run()
    team.wait_until(
        lambda: "AwaitingRetry" in {each["state"]["name"] for each in team.task_runs(run)}
    )
    moto = Path(sys.executable).with_name("moto_server")
    with subprocess.Popen([moto, "-p", str(port)], stderr=subprocess.DEVNULL) as late:
        end = team.end_of(run)
        late.kill()
    assert end["type"] == "FAILED"
    assert "NoSuchBucket" in end["message"]
    (ingest,) = (each for each in team.task_runs(run) if each["name"] == "ingest")
    assert ingest["run_count"] == 2
