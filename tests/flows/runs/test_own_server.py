"""The Prefect server that a run starts for itself."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from prefect import flow, get_run_logger, task
from prefect.client.orchestration import get_client
from prefect.settings import get_current_settings

from flows.runs.own_server import OwnServer, configured

pytestmark = pytest.mark.slow

KILLED = """
import os, signal
from flows.runs.own_server import OwnServer
server = OwnServer()
server.wait()
print(server.url, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""

CALM = """
from prefect import flow, get_run_logger
from flows.runs.own_server import OwnServer, configured

@flow
def talk():
    for number in range(50):
        get_run_logger().info("line %s", number)
    get_run_logger().info("the last line")

with configured(OwnServer()):
    talk()
"""


@pytest.fixture(scope="module", autouse=True)
def home(environment: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", environment["PREFECT_HOME"])
        patch.delenv("PREFECT_API_URL", raising=False)
        yield


@flow
def _one_task() -> None:
    @task
    def say() -> None:
        get_run_logger().info("said in a task")

    say.submit().wait()


def test_only_the_run_may_use_it() -> None:
    server = OwnServer()
    with configured(server):
        assert get_current_settings().api.url == server.url
        state = _one_task(return_state=True)
        assert state.is_completed()
        with get_client(sync_client=True) as client:
            run = client.read_flow_runs()[0]
            assert run.state is not None
            assert run.state.is_completed()
        deadline = time.monotonic() + 30
        asked = {"json": {"logs": {}}, "auth": tuple(server.login.split(":"))}
        while "said in a task" not in httpx.post(f"{server.url}/logs/filter", **asked).text:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        # A page of another origin, and one whose name was bound to this address
        for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
            answer = httpx.post(f"{server.url}/flows/", json={"name": "evil"}, headers=headers)
            assert answer.status_code == 401
            assert "access-control-allow-origin" not in answer.headers
        preflight = httpx.options(
            f"{server.url}/flows/",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )
        assert preflight.status_code == 400
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")


def test_no_line_is_left_for_a_server_that_is_gone(environment: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", CALM], env=environment, capture_output=True, text=True, check=True
    )
    assert "the last line" in run.stderr
    assert "Error logging to API" not in run.stderr


def test_it_is_killed_with_the_run(environment: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    url = run.stdout.strip()
    port = url.split(":")[2].split("/")[0]
    deadline = time.monotonic() + 10
    while any(port in (each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])):
        assert time.monotonic() < deadline, "the server outlives the run"
        time.sleep(0.1)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")
