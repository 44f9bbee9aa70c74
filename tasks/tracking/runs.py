"""The runs of a grid in MLflow: one for the sweep, and below it one for each cell.

A run is found by what it is about: so cells that are trained on several machines come together
under one sweep, and a training that goes on goes on in its run.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pneumo_core.atomic import JsonDict, read_json
from pneumo_core.models import bundle
from pneumo_core.models.bundle import Blueprint
from pneumo_core.params import TrainParams
from tasks import paths
from tasks.graph import provenance
from tasks.tracking import connection, descriptions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput

PARENT = "mlflow.parentRunId"
SOURCES = {  # of the films, by what they are for: name of the version, and place
    "training": ("train_version", str(paths.TRAIN_IMAGES)),
    "validation": ("data_version", str(paths.SPLIT)),
    "test": ("data_version", str(paths.SPLIT)),
}


@dataclass(frozen=True)
class Subject:
    """What a run is about: the same settings on the same films are the same subject."""

    name: str
    params: dict[str, Any]
    data_sha256: str
    train_sha256: str

    @classmethod
    def sweep(cls, params: TrainParams) -> "Subject":
        """The grid that is asked for, on the films as they are now."""
        grid = params.model_dump(mode="json", exclude={"feature_cache_gb"})
        return cls("sweep", grid, **provenance.data_hashes())

    @classmethod
    def cell(cls, blueprint: Blueprint) -> "Subject":
        """The training that a model came from."""
        origin = blueprint.origin
        return cls(blueprint.name, origin.params, origin.data_sha256, origin.train_sha256)

    def tags(self) -> dict[str, str]:
        content = json.dumps(list(vars(self).values()), sort_keys=True)
        return {
            "about": hashlib.sha256(content.encode()).hexdigest(),
            "data_sha256": self.data_sha256,
            "train_sha256": self.train_sha256,
        }


def find(client: "MlflowClient", tags: dict[str, str], condition: str = "") -> str | None:
    """Return the newest run that has these tags."""
    wanted = [f"tags.{key} = '{value}'" for key, value in tags.items()]
    runs = client.search_runs(
        [connection.experiment_id(client)],
        " and ".join([*wanted, *filter(None, [condition])]),
        max_results=1,
        order_by=["start_time DESC"],
    )
    return str(runs[0].info.run_id) if runs else None


def begin(client: "MlflowClient", subject: Subject, parent: str | None = None) -> str:
    from mlflow.entities import Param

    tags = subject.tags() | provenance.source() | provenance.data_versions() | provenance.tags()
    if parent is not None:
        tags[PARENT] = parent
    run = client.create_run(connection.experiment_id(client), run_name=subject.name, tags=tags)
    run_id = str(run.info.run_id)
    params = [Param(name, str(value)) for name, value in subject.params.items()]
    client.log_batch(run_id, params=params)
    client.log_inputs(run_id, _inputs("training", "validation"))
    return run_id


def of_sweep(client: "MlflowClient", params: TrainParams) -> str:
    """The run of the grid, begun if there is none."""
    sweep = Subject.sweep(params)
    with FileLock(paths.SCRATCH / "mlflow.lock"):  # cells that start together have one parent
        return find(client, sweep.tags()) or begin(client, sweep)


def of_model(client: "MlflowClient", blueprint: Blueprint, params: TrainParams) -> str:
    """The run that trained a model, or a new one where it was trained out of MLflow's sight."""
    cell = Subject.cell(blueprint)
    run_id = find(client, cell.tags())
    if run_id is None:
        run_id = begin(client, cell, of_sweep(client, params))
        client.set_terminated(run_id)
    return run_id


def record_evaluation(params: TrainParams) -> None:
    """Each cell's figures go to its run, the leaderboard to the sweep's, which ends with it."""
    client = connection.connect()
    note = descriptions.NOTE
    for folder in sorted(path for path in paths.EVALUATED.iterdir() if path.is_dir()):
        run_id = of_model(client, bundle.read_description(folder / paths.BUNDLE), params)
        client.log_inputs(run_id, _inputs("test"))
        for split in (*paths.VALIDATIONS, "test"):
            _log_figures(client, run_id, folder / split, f"evaluation/{split}")
        client.set_tag(run_id, note, descriptions.of_cell(folder.name))
    sweep = of_sweep(client, params)
    client.log_artifact(sweep, str(paths.LEADERBOARD))
    client.set_tag(sweep, note, descriptions.of_sweep(report_page(client, sweep)))
    client.set_terminated(sweep)


def record_external(name: str, params: TrainParams) -> None:
    """The figures of an external set go to the run of each cell."""
    client = connection.connect()
    for cell in sorted(path for path in (paths.EXTERNAL / name).iterdir() if path.is_dir()):
        description = bundle.read_description(paths.EVALUATED / cell.name / paths.BUNDLE)
        run_id = of_model(client, description, params)
        _log_figures(client, run_id, cell, f"external/{name}")


def record_report(params: TrainParams) -> None:
    client = connection.connect()
    client.log_artifacts(of_sweep(client, params), str(paths.REPORT), "report")


def record_decisions(decided: Mapping[str, JsonDict], model: str, params: TrainParams) -> str:
    """The decisions on all roles go to the sweep's run; return the address of its report."""
    client = connection.connect()
    sweep = of_sweep(client, params)
    report = report_page(client, sweep)
    client.log_artifact(sweep, str(paths.DECISION), "promotion")
    client.set_tag(sweep, descriptions.NOTE, descriptions.of_decisions(decided, report))
    experiment = connection.experiment_id(client)
    client.set_experiment_tag(
        experiment, descriptions.NOTE, descriptions.of_experiment(model, report)
    )
    return report


def report_page(client: "MlflowClient", sweep: str) -> str:
    """Return where MLflow's page shows the report of a grid, relative to the page's address."""
    experiment = connection.experiment_id(client)
    return f"#/experiments/{experiment}/runs/{sweep}/artifacts/report/{paths.PAGE}"


def record_model(cell: str, model_id: str, run_id: str) -> None:
    """A cell's figures go to the model that was made of it, each with the films that it is of."""
    from mlflow.entities import Metric

    client = connection.connect()
    films = {each.tags[0].value: each.dataset for each in _inputs("validation", "test")}
    now_ms = int(time.time() * 1000)
    for split in (*paths.VALIDATIONS, "test"):
        of = films.get("test" if split == "test" else "validation")
        about = {"dataset_name": of.name, "dataset_digest": of.digest} if of else {}
        figures = _figures(paths.EVALUATED / cell / split, f"evaluation/{split}")
        client.log_batch(
            run_id,
            metrics=[
                Metric(name, value, now_ms, 0, model_id=model_id, run_id=run_id, **about)
                for name, value in figures.items()
            ],
        )


def _log_figures(client: "MlflowClient", run_id: str, folder: Path, place: str) -> None:
    """Log an evaluation's figures as metrics, and `metrics.json` as an artifact, below `place`."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    figures = _figures(folder, place)
    metrics = [Metric(name, value, now_ms, 0) for name, value in figures.items()]
    client.log_batch(run_id, metrics=metrics)
    # The predictions beside it name films and patients, and stay here.
    client.log_artifact(run_id, str(folder / "metrics.json"), place)


def _figures(folder: Path, place: str) -> dict[str, float]:
    """Return the figures in `metrics.json`, with `place` before each name."""
    figures = read_json(folder / "metrics.json")
    if "refused" in figures:
        figures["refused_share"] = figures["refused"]["share"]
    return {
        f"{place}/{name}": figure["value"]
        for name, figure in figures.items()
        if isinstance(figure, dict) and "value" in figure
    }


def _inputs(*contexts: str) -> list["DatasetInput"]:
    """The films as data sets of the source's name under their DVC hashes; none without DVC."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    versions = provenance.data_versions()
    dataset = provenance.source().get("dataset", "films")
    return [
        DatasetInput(
            Dataset(f"{dataset} for {context}", versions[name], "dvc", json.dumps({"path": path})),
            [InputTag("mlflow.data.context", context)],
        )
        for context, (name, path) in SOURCES.items()
        if context in contexts and name in versions
    ]
