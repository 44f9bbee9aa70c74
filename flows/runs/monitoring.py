"""The flow that compares new films with the training data and starts a training if needed."""

import hashlib
import json
from pathlib import Path
from typing import cast

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas import State
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.states import Completed, Failed
from prefect.utilities.urls import url_for

from flows.runs import alarm, run_name
from pneumo_core import params as all_params
from pneumo_core.errors import NoChampionError, PipelineError
from pneumo_core.inference.drift import Findings
from pneumo_core.report import drift_page
from pneumo_core.report.pages import to_markdown
from pneumo_core.report.words import Words
from tasks import paths
from tasks.commands import monitor as body
from tasks.registry import model_versions

DRIFT = "pneumo.films.drifted"  # event; automations.yaml waits for it
RETRAIN = "pneumo/retrain"  # flow and deployment, as in prefect.yaml
BY_HAND = "dvc repro --force --single-item ingest && pneumo run"
NOT_INGESTED = "No model learns from these films yet: put them, with labels, into ingest.source."


@flow(
    flow_run_name=run_name.of_this_run,
    on_failure=[alarm.notify_failure],
    on_crashed=[alarm.notify_failure],
)
def monitor(source: str | None = None, alias: str = "champion") -> State[None]:
    """Compare new films with the training data of the model in use.

    Args:
        source: any form of ingest.source; by default ingest.source itself.
        alias: alias of the model in the registry.
    """
    try:
        findings = look(source, None, alias, paths.MONITOR)
        page = to_markdown(drift_page.write(findings, None, Words("en")), "")
        create_markdown_artifact(
            page, key="new-films", description="New films compared with training data"
        )
        message = f"{_compared(findings)} No training is due."
        if findings.reasons:
            message = f"{call_for_training(findings)} {'; '.join(findings.reasons)}"
    except NoChampionError as error:  # none was promoted yet: every night until then
        return Completed(name="Skipped", message=str(error))
    except Exception as error:  # what is not known is raised again
        return alarm.failed(error)
    if findings.unusable:
        return Failed(message=f"{findings.unusable}. {message}")
    return Completed(message=message)


def _compared(findings: Findings) -> str:
    if not findings.num_new:
        return "No new films."
    if not findings.comparisons:
        return f"{findings.num_new} new films: too few to look for drift."
    return f"{findings.num_new} new films: no drift."


def look(source: str | None, bundle: Path | None, alias: str, out: Path) -> Findings:
    """Return the findings; raises as `monitor.run`, and as `model_versions.champion_bundle`."""
    params = all_params.load()
    where_from = str(bundle)
    if bundle is None:
        name = params.promote.registered_model
        bundle, version = model_versions.champion_bundle(name, alias)
        where_from = f"{name}@{alias}, version {version}"
    return body.run(source or params.ingest.source, bundle, where_from, params, out)


def call_for_training(findings: Findings) -> str:
    """Start a training on the configured server, or return how to. Same findings start it once.

    The server gets an event of any drift, on which an automation may act.

    Raises:
        PipelineError: the server has no deployment for it.
    """
    has_server = get_current_settings().api.url is not None
    if has_server and findings.drifted:
        emit_event(
            DRIFT,
            {"prefect.resource.id": "pneumo.films", "prefect.resource.name": findings.source},
            payload={"model": findings.model, "reasons": "; ".join(findings.reasons)},
        )
    if not findings.is_ingested:
        return NOT_INGESTED
    if not has_server:
        return f"No Prefect server is configured; to train: {BY_HAND}"
    found = json.dumps(findings.as_json()).encode()
    try:
        run = run_deployment(
            RETRAIN,
            parameters={"ingest_again": True},
            timeout=0,  # does not wait
            idempotency_key=hashlib.sha256(found).hexdigest(),
            as_subflow=False,
        )
    except ObjectNotFound as error:
        raise PipelineError(
            f"The Prefect server has no deployment {RETRAIN}: prefect deploy --all."
        ) from error
    return f"Training started: {url_for(cast(FlowRun, run))}."  # no coroutine here
