"""MLflow: where it is, and a training's events as a run to look at.

Files are the truth and MLflow holds copies, so a tracker that fails is reported once and never
stops a training.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pneumo_core.events import EpochEnded, Event, Finished, MicroBatchHalved, Sink, Stalled, Started
from tasks import places

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "pneumo"
logger = logging.getLogger(__name__)


def connect() -> "MlflowClient":
    """A client of the server in MLFLOW_TRACKING_URI, or else of a database in `var/`."""
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    places.SCRATCH.mkdir(exist_ok=True)
    mlflow.set_tracking_uri(uri())
    mlflow.set_registry_uri(uri())
    with FileLock(places.SCRATCH / "mlflow.lock"):  # a new database is set up by one process
        client = mlflow.MlflowClient()
        if client.get_experiment_by_name(EXPERIMENT) is None:
            embedded = uri() == _embedded_uri()
            artifacts = (places.SCRATCH / "mlartifacts").resolve().as_uri() if embedded else None
            client.create_experiment(EXPERIMENT, artifact_location=artifacts)
    return client


def uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or _embedded_uri()


def _embedded_uri() -> str:
    return f"sqlite:///{(places.SCRATCH / 'mlflow.db').resolve()}"


@contextmanager
def training_run(cell: str, params: dict[str, Any], tags: dict[str, str]) -> Iterator[Sink]:
    """A sink that writes one run; a training that resumes goes on in the run that it began."""
    asked = hashlib.sha256(json.dumps([params, tags], sort_keys=True).encode()).hexdigest()
    memory = places.SCRATCH / "mlflow_runs" / f"{cell}-{asked[:16]}"
    try:
        client = connect()
        run_id = _open_run(client, cell, params, tags, memory)
    except Exception as error:  # every kind of database and network failure
        logger.warning("MLflow is not to be reached, the run is only in files: %s", error)
        yield lambda _: None
        return
    status = "FAILED"
    try:
        yield _MlflowSink(client, run_id)
        status = "FINISHED"
    finally:
        _quietly(lambda: client.set_terminated(run_id, status))
        if status == "FINISHED":
            memory.unlink(missing_ok=True)


def _open_run(
    client: "MlflowClient", cell: str, params: dict[str, Any], tags: dict[str, str], memory: Path
) -> str:
    if memory.is_file():
        run_id = memory.read_text()
        client.update_run(run_id, status="RUNNING")
        return run_id
    experiment = client.get_experiment_by_name(EXPERIMENT)
    run = client.create_run(experiment.experiment_id, run_name=cell, tags=tags)
    for name, value in params.items():
        client.log_param(run.info.run_id, name, value)
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_text(run.info.run_id)
    return str(run.info.run_id)


class _MlflowSink:
    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        self._client, self._run_id = client, run_id

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._log({"num_trainable": event.num_trainable}, 0)
            case EpochEnded():
                curve = {k: v for k, v in vars(event).items() if k != "epoch"}
                self._log(curve, event.epoch)
            case MicroBatchHalved() | Finished():
                self._log(vars(event), 0)
            case Stalled():
                self._log({"stalled_s": event.seconds}, 0)

    def _log(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            _quietly(lambda n=name, v=value: self._client.log_metric(self._run_id, n, v, step=step))


def _quietly(log: Any) -> None:
    try:
        log()
    except Exception as error:  # every kind of database and network failure
        logger.warning("MLflow did not take a value: %s", error)
