"""The pages of MLflow and Prefect, served on this machine only until Ctrl-C."""

import os
import socket
import sys

from flows.services import credentials
from pneumo_core.errors import PipelineError
from tasks.tracking import connection

HOST = "127.0.0.1"
MLFLOW_PAGE = "/#/models"  # the registry; its first page is on language models
COMMANDS = {
    "mlflow": ("5000", MLFLOW_PAGE, ["-m", "mlflow", "server", "--workers", "1"]),
    "prefect": ("4200", "", ["-m", "prefect", "server", "start"]),
}


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        PipelineError: the port is taken, or the address is not one of this machine.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PipelineError(
            f"{host}:{port} cannot be used ({error}): choose another --port."
        ) from error


def require_free(host: str, port: int) -> None:
    """Raise PipelineError if a server cannot listen there."""
    listen(host, port).close()


def serve(which: str, port: int | None) -> None:
    """Replace this process with the server; does not return.

    Raises:
        PipelineError: the port is taken.
    """
    usual, page, server = COMMANDS[which]
    chosen = str(port or usual)
    require_free(HOST, int(chosen))
    print(f"http://{HOST}:{chosen}{page} until Ctrl-C", flush=True)
    if which == "prefect":
        os.environ["PREFECT_SERVER_API_AUTH_STRING"] = credentials.prefect_login()
        print(credentials.how_to_log_in_to_prefect(), flush=True)
    command = [sys.executable, *server, "--host", HOST, "--port", chosen]
    if which == "mlflow":
        connection.connect()
        command += ["--backend-store-uri", connection.uri()]
    os.execv(sys.executable, command)
