"""Artifacts of a run on Prefect's page: progress, stages, result."""

from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.schemas import State

from flows.runs import outcome
from pneumo_core import params
from tasks.tracking import connection, runs


class Progress:
    """The share of stages that have ended."""

    def __init__(self, num_stages: int) -> None:
        self._num_stages, self._num_ended = num_stages, 0
        self._artifact = cast(
            UUID, create_progress_artifact(0, key="progress", description="Stages that have ended")
        )

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
    links = _links() if connection.uri().startswith("http") else ""
    create_markdown_artifact(
        f"{links}\n\n```\n{outcome.describe()}\n```",
        key="result",
        description="Decisions, figures, report",
    )


def _links() -> str:
    """Return links to MLflow's page: a browser opens no file from the page of a server."""
    client, asked = connection.connect(), params.load()
    report = runs.report_page(client, runs.of_sweep(client, asked.train))
    page, name = connection.shown_uri(), asked.promote.registered_model
    return f"[Report]({page}/{report}), [versions of the model]({page}/#/models/{name})"
