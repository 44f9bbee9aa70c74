"""MLflow: where it is. Files are the truth and MLflow holds copies."""

import logging
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock

from tasks import explanations, paths

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT, ARTIFACTS = "pneumo", "mlartifacts"
KIND = {"mlflow.experimentKind": "custom_model_development"}  # or its page opens on traces
PATHS = (  # columns of MLflow's database that hold the address of the embedded artifacts
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
logger = logging.getLogger(__name__)


def connect() -> "MlflowClient":
    """A client of the server in MLFLOW_TRACKING_URI, or else of a database in `var/`."""
    import mlflow

    for talker in ("alembic", "mlflow.store.db", "mlflow.pyfunc", "mlflow.system_metrics"):
        logging.getLogger(talker).setLevel(logging.WARNING)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # each retry is a warning
    paths.SCRATCH.mkdir(exist_ok=True)
    mlflow.set_tracking_uri(uri())
    mlflow.set_registry_uri(uri())
    with FileLock(paths.SCRATCH / "mlflow.lock"):  # a new database is set up by one process
        client = mlflow.MlflowClient()
        if client.get_experiment_by_name(EXPERIMENT) is None:
            artifacts = _artifacts() if _is_embedded() else None
            client.create_experiment(EXPERIMENT, artifacts, KIND)
        elif _is_embedded():
            _follow_project()
    return client


def experiment_id(client: "MlflowClient") -> str:
    """Return the id of the experiment that `connect` created.

    Raises:
        MlflowException: somebody took it away since.
    """
    from mlflow import MlflowException

    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        raise MlflowException(f"The experiment {EXPERIMENT} is gone.")
    return str(experiment.experiment_id)


def uri() -> str:
    return os.environ.get("MLFLOW_TRACKING_URI") or _embedded_uri()


def shown_uri() -> str:
    """Return the address without name and password."""
    return re.sub(r"//[^/@]*@", "//", uri())


@contextmanager
def copying(what: str) -> Iterator[None]:
    """Print what MLflow fails at in this context; the stage goes on."""
    try:
        yield
    except Exception as error:  # every kind of database and network failure
        why = explanations.in_one_line(error)
        logger.warning("MLflow did not take %s, which is only in files: %s", what, why)


def _follow_project() -> None:
    """Point the database of a project that was moved or copied to the artifacts beside it."""
    here = _artifacts()
    with closing(sqlite3.connect(paths.SCRATCH / "mlflow.db", timeout=60)) as database, database:
        found = database.execute(
            "SELECT artifact_location FROM experiments WHERE name = ?", (EXPERIMENT,)
        )
        (there,) = found.fetchone()
        if there == here or not there.endswith(f"/{ARTIFACTS}"):
            return
        for table, column in PATHS:
            database.execute(
                f"UPDATE {table} SET {column} = :here || substr({column}, length(:there) + 1)"
                f" WHERE {column} = :there OR"
                f" substr({column}, 1, length(:there) + 1) = :there || '/'",
                {"here": here, "there": there},
            )


def _artifacts() -> str:
    return (paths.SCRATCH / ARTIFACTS).resolve().as_uri()


def _is_embedded() -> bool:
    return uri() == _embedded_uri()


def _embedded_uri() -> str:
    return f"sqlite:///{(paths.SCRATCH / 'mlflow.db').resolve()}"
