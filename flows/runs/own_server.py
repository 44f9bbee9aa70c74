"""The Prefect server of one run, where none is configured: no other process can use it.

It listens on 127.0.0.1, knows one password that only this process has, and is killed with this
process. Prefect's own temporary server has no authentication and outlives a killed run.
"""

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    get_current_settings,
    temporary_settings,
)

from pneumo_core.errors import PipelineError
from tasks.graph.dvc_stage import environment

HOST = "127.0.0.1"
POLL_S = 0.1
PATIENCE_S = 5
START = ["-m", "prefect", "server", "start", "--no-ui", "--no-scheduler", "--no-late-runs"]


class OwnServer:
    """The process of the server."""

    def __init__(self) -> None:
        self.login = f"run:{secrets.token_urlsafe(32)}"
        with socket.create_server((HOST, 0)) as free:
            port = str(free.getsockname()[1])
        self.url = f"http://{HOST}:{port}/api"
        settings = get_current_settings().to_environment_variables(exclude_unset=True)
        where = ("--host", HOST, "--port", port, "--log-level", "ERROR")
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, *START, *where],
            env=environment() | settings | {"PREFECT_SERVER_API_AUTH_STRING": self.login},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal is for the run, which stops it
        )

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            PipelineError: it ended, or it does not answer in time.
        """
        seconds = get_current_settings().server.ephemeral.startup_timeout_seconds
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (code := self._process.poll()) is not None:
                raise PipelineError(f"The Prefect server of this run ended with {code}.")
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=PATIENCE_S).is_success:
                    return
            time.sleep(POLL_S)
        raise PipelineError(f"The Prefect server of this run did not start within {seconds} s.")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def configured(server: OwnServer) -> Iterator[None]:
    """Make it the server of everything in this context; it is stopped at the end."""
    try:
        server.wait()
        with temporary_settings(
            {PREFECT_API_URL: server.url, PREFECT_API_AUTH_STRING: server.login}
        ):
            try:
                yield
            finally:
                APILogWorker.drain_all(timeout=PATIENCE_S)  # what is queued would find no server
                EventsWorker.drain_all(timeout=PATIENCE_S)
    finally:
        server.stop()
