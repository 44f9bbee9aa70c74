"""The services of `mlflow/compose.yaml` without containers, until Ctrl-C or SIGTERM.

A service that ends is started again; its state is in the database and in the artifacts. All
services die with this process, whatever kills it.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from flows.services import compose, credentials, local_postgres, pages
from flows.services.compose import Service
from flows.services.credentials import FOLDER
from pneumo_core.errors import PipelineError
from tasks.graph.dvc_stage import environment

POLL_S, PATIENCE_S = 0.3, 20
LOOPBACK = "127.0.0.1"


def serve() -> None:
    """Start the services and keep them running.

    Raises:
        PipelineError: PostgreSQL is missing, or a service ended before it was healthy.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # A process that a script starts by `... &` ignores SIGINT, and so would all services.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    FOLDER.mkdir(parents=True, exist_ok=True)
    variables = _variables()
    running = {service.name: _Running(service) for service in _services(variables)}
    announced = False
    try:
        while True:
            ready = {name for name, each in running.items() if each.is_ready}
            for each in running.values():
                each.look_after(ready)
            if not announced and len(ready) == len(running):
                announced = True
                print(_how_to_use(variables), flush=True)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        pass
    finally:
        for each in reversed(running.values()):
            each.stop()


def _variables() -> dict[str, str]:
    """Return the variables that the file asks for, with the paths and ports of this machine."""
    own = {f"{name}_HOST": LOOPBACK for name in ("POSTGRES", "MLFLOW", "PREFECT")}
    own |= {"LISTEN": LOOPBACK, "PNEUMO_ROOT": str(Path.cwd())}
    given = {
        "POSTGRES_PORT": "5432",
        "MLFLOW_PORT": "5000",
        "PREFECT_PORT": "4200",
        "POSTGRES_DATA": str(FOLDER.resolve() / "postgres"),
        "POSTGRES_PASSWORD": credentials.password("password"),
        "PREFECT_LOGIN": credentials.prefect_login(),
        "MLFLOW_PASSWORD": credentials.password(credentials.MLFLOW),
        "MLFLOW_KEY": credentials.password(credentials.MLFLOW_KEY),
    }
    prefect_port = os.environ.get("PREFECT_PORT", "4200")
    given["PREFECT_UI_URL"] = f"http://{LOOPBACK}:{prefect_port}"
    if "AWS_ENDPOINT_URL_S3" not in os.environ:
        given["MLFLOW_ARTIFACTS_DESTINATION"] = str(FOLDER.resolve() / "artifacts")
    return given | os.environ | own


def _services(variables: dict[str, str]) -> list[Service]:
    """Return the services to start: all but S3, which is elsewhere or a folder."""
    data = Path(variables["POSTGRES_DATA"])
    local_postgres.make_cluster(data, variables["POSTGRES_PASSWORD"])
    server = local_postgres.server_command(data, variables["POSTGRES_PORT"])
    return [
        replace(service, command=server) if service.name == "postgres" else service
        for service in compose.read_services(variables, without=frozenset({"s3"}))
    ]


def _how_to_use(variables: dict[str, str]) -> str:
    mlflow = f"http://{LOOPBACK}:{variables['MLFLOW_PORT']}"
    return (
        f"All services are up; their logs are in {FOLDER}. To use them:\n"
        f"export MLFLOW_TRACKING_URI={mlflow}\n"
        f"{credentials.how_to_log_in_to_mlflow()}\n"
        f"export PREFECT_API_URL=http://{LOOPBACK}:{variables['PREFECT_PORT']}/api\n"
        f"{credentials.how_to_log_in_to_prefect()}\n"
        f"Pages: {mlflow}{pages.MLFLOW_PAGE}\n"
        f"       {variables['PREFECT_UI_URL']}"
    )


class _Running:
    """A service with its process."""

    def __init__(self, service: Service) -> None:
        self.is_ready = False  # healthy, or ended with 0 where it has no health check
        self._service = service
        self._log = FOLDER / f"{service.name}.log"
        self._environment = environment() | service.environment
        self._environment["PATH"] += f"{os.pathsep}{local_postgres.programs()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._was_ready = False

    def look_after(self, ready: set[str]) -> None:
        if self._process is None:
            if ready.issuperset(self._service.needs):
                self._start()
            return
        code = self._process.poll()
        if self._service.health_check:
            self.is_ready = code is None and (self.is_ready or self._is_healthy())
        else:
            self.is_ready = code == 0
        self._was_ready |= self.is_ready
        if code is None or self.is_ready:
            return
        if not self._was_ready:
            raise PipelineError(f"{self._service.name} ended with {code}; see {self._log}")
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        print(f"{now} {self._service.name} ended with {code} and is started again", flush=True)
        self._kill_rest()
        self._start()

    def _start(self) -> None:
        death = self._service.stop_signal.removeprefix("SIG")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", f"--pdeathsig={death}", *self._service.command],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_healthy(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            asked = subprocess.run(
                self._service.health_check,
                env=self._environment,
                capture_output=True,
                timeout=PATIENCE_S,
                check=False,
            )
            return asked.returncode == 0
        return False

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.Signals[self._service.stop_signal])
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE_S)
        self._kill_rest()

    def _kill_rest(self) -> None:
        """Kill the whole process group: what outlives a killed server keeps its port."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
