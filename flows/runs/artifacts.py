"""Artifacts of a run on Prefect's page: progress, stages, result, links."""

from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.schemas import State

from flows.runs import outcome
from pneumo_core import params
from tasks import paths
from tasks.tracking import connection


class Progress:
    """The share of stages that have ended."""

    def __init__(self, num_stages: int) -> None:
        self._num_stages, self._num_ended = num_stages, 0
        self._artifact = cast(UUID, create_progress_artifact(0, key="progress"))

    def another(self) -> None:
        self._num_ended += 1
        update_progress_artifact(self._artifact, 100 * self._num_ended / self._num_stages)


def show_stages(states: dict[str, State[Any]]) -> None:
    rows = [
        {"stage": stage, "state": state.name, "result": state.message}
        for stage, state in states.items()
    ]
    create_table_artifact(rows, key="stages", description="What was stale, and how it ended")


def show_result() -> None:
    create_markdown_artifact(f"```\n{outcome.describe()}\n```", key="result")
    page = (paths.REPORT / paths.PAGE).resolve().as_uri()
    create_link_artifact(page, "Report", key="report")
    if connection.uri().startswith("http"):
        create_link_artifact(_mlflow_run(), "MLflow run of the newest version", key="mlflow-run")


def _mlflow_run() -> str:
    client = connection.connect()
    name = params.load(paths.PARAMS).promote.registered_model
    (version,) = client.search_model_versions(
        f"name = '{name}'", order_by=["version_number DESC"], max_results=1
    )
    experiment = client.get_run(str(version.run_id)).info.experiment_id
    return f"{connection.uri()}/#/experiments/{experiment}/runs/{version.run_id}"
