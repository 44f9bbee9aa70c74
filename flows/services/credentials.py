"""Secrets of this project's services: made on first use, readable by their owner only."""

import secrets
from pathlib import Path

from pneumo_core.atomic import write_secret
from pneumo_core.errors import PipelineError
from tasks import paths

FOLDER = paths.SCRATCH / "services"
USER = "pneumo"  # of Prefect, and the first administrator of MLflow
PREFECT, MLFLOW, MLFLOW_KEY = "prefect_password", "mlflow_password", "mlflow_key"


def password(name: str) -> str:
    """Return the secret of that name from `var/services/NAME`.

    Raises:
        PipelineError: others can read the file, or it is empty.
    """
    file = FOLDER / name
    if not file.exists():
        write_secret(file, secrets.token_urlsafe(32))
    require_private(file)
    if not (text := file.read_text("utf-8").strip()):
        raise PipelineError(f"{file} is empty: delete it, and a new secret is made.")
    return text


def require_private(file: Path) -> None:
    """Raise PipelineError if others than the owner can read or change the file."""
    if file.stat().st_mode & 0o077:
        raise PipelineError(f"Others can read {file}: run `chmod 600 {file}`.")


def prefect_login() -> str:
    """Return `user:password` for the Prefect server; its page and its clients use the same."""
    return f"{USER}:{password(PREFECT)}"


def how_to_log_in_to_prefect() -> str:
    """Return what to type so that commands, workers and the page of Prefect may use the server."""
    return (
        f'export PREFECT_API_AUTH_STRING="{USER}:$(cat {FOLDER / PREFECT})"\n'
        "The Prefect page asks for the same value."
    )


def how_to_log_in_to_mlflow() -> str:
    """Return what to type so that commands and the page of MLflow may use the server."""
    return (
        f"export MLFLOW_TRACKING_USERNAME={USER} "
        f'MLFLOW_TRACKING_PASSWORD="$(cat {FOLDER / MLFLOW})"\n'
        "The MLflow page asks for the same two. Each colleague gets a login of their own:\n"
        "pneumo registry member NAME --role read"
    )
