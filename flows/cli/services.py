"""`pneumo ui` and `pneumo services`: pages and services on this machine."""

from enum import StrEnum
from typing import Annotated

import typer


class Ui(StrEnum):
    MLFLOW = "mlflow"
    PREFECT = "prefect"


def ui(
    which: Ui,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="By default 5000 (MLflow) or 4200 (Prefect)."),
    ] = None,
) -> None:
    """Serve the MLflow or the Prefect page of this project on 127.0.0.1, for a browser."""
    from flows.services import pages

    pages.serve(which.value, port)


def services() -> None:
    """Start the services of a team until Ctrl-C: PostgreSQL, MLflow, Prefect and its worker."""
    from flows.services import supervisor

    supervisor.serve()
