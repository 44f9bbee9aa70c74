"""The pages of MLflow and Prefect, served on this machine only until Ctrl-C."""

import os
import sys

from tasks import tracking

COMMANDS = {
    "mlflow": ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "5000", "--workers", "1"],
    "prefect": ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", "4200"],
}


def serve(which: str) -> None:
    """Becomes the server; does not return."""
    command = [sys.executable, *COMMANDS[which]]
    if which == "mlflow":
        tracking.connect()
        command += ["--backend-store-uri", tracking.uri()]
    os.execv(sys.executable, command)
