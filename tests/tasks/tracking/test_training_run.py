"""A training as an MLflow run below its sweep, in a real database."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow.entities import Metric, Run

from pneumo_core import params
from pneumo_core.data.packed import INDEX
from pneumo_core.training.events import EpochEnded, Finished
from tasks import paths
from tasks.tracking import training_run
from tasks.tracking.connection import connect
from tasks.tracking.runs import Subject
from tasks.tracking.training_run import MetricSender

ROOT = Path(__file__).parents[3]
SETTINGS = params.load(ROOT / "params.yaml").train
DATA_VERSION, TRAIN_VERSION = "d" * 32, "t" * 32 + ".dir"
LOCK = {
    "split": {"outs": [{"path": str(paths.SPLIT), "md5": DATA_VERSION}]},
    "augment": {"outs": [{"path": str(paths.TRAIN_IMAGES), "md5": TRAIN_VERSION}]},
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the stages before: the films' hashes are all that counts here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for path in (paths.SPLIT, paths.TRAIN_IMAGES / INDEX):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"films")
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": LOCK}))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    paths.SCRATCH.mkdir()
    shutil.copy(empty_store, paths.SCRATCH / "mlflow.db")


def epoch(number: int) -> EpochEnded:
    return EpochEnded(number, 0.1, 0.5, 0.4, 0.9, 100.0, 0.0)


def train_for(
    epochs: Sequence[int], asked: dict[str, Any], cell: str = "net-full", killed: bool = False
) -> None:
    with training_run.training_run(Subject(cell, asked, "d", "t"), SETTINGS) as sink:
        for number in epochs:
            sink(epoch(number))
        if killed:
            raise KeyboardInterrupt


def runs(condition: str = "") -> list[Run]:
    """Oldest first."""
    client = connect()
    (experiment,) = client.search_experiments(filter_string="name = 'pneumo'")
    return list(
        client.search_runs([experiment.experiment_id], condition, order_by=["start_time ASC"])
    )


def curves() -> list[list[int]]:
    """The epochs that each cell's run has."""
    histories = [
        connect().get_metric_history(run.info.run_id, "val_auroc")
        for run in runs("attributes.run_name != 'sweep'")
    ]
    return [[point.step for point in history] for history in histories]


def test_cells_of_a_grid_stand_below_one_sweep() -> None:
    train_for([1], {"lr": 0.1})
    train_for([1], {"lr": 0.2}, cell="net-partial")
    sweep, *cells = runs()
    assert (sweep.info.run_name, sweep.data.params["models"]) == (
        "sweep",
        str(list(SETTINGS.models)),
    )
    assert [cell.info.run_name for cell in cells] == ["net-full", "net-partial"]
    assert [cell.data.params for cell in cells] == [{"lr": "0.1"}, {"lr": "0.2"}]
    assert {cell.data.tags["mlflow.parentRunId"] for cell in cells} == {sweep.info.run_id}
    assert [cell.info.status for cell in cells] == ["FINISHED", "FINISHED"]


def test_other_films_are_another_sweep() -> None:
    train_for([1], {"lr": 0.1})
    paths.SPLIT.write_bytes(b"other films")
    train_for([1], {"lr": 0.2})
    assert [run.info.run_name for run in runs()] == ["sweep", "net-full"] * 2


def test_films_are_inputs_under_their_dvc_hashes() -> None:
    train_for([1], {"lr": 0.1})
    for run in runs():
        assert {
            (each.tags[0].value, each.dataset.digest, json.loads(each.dataset.source)["path"])
            for each in run.inputs.dataset_inputs
        } == {
            ("training", TRAIN_VERSION, "results/augment/images"),
            ("validation", DATA_VERSION, "results/split/manifest.parquet"),
        }


def test_runs_and_their_films_have_the_name_of_the_source() -> None:
    sources = Path("sources")
    sources.mkdir()
    (sources / "phantom.yaml").touch()
    train_for([1], {"lr": 0.1})
    for run in runs():
        assert (run.data.tags["source"], run.data.tags["dataset"]) == (
            "sources/phantom.yaml",
            "phantom",
        )
        # A name for each use: MLflow takes equal name and digest for one data set of the run.
        names = {each.dataset.name for each in run.inputs.dataset_inputs}
        assert names == {"phantom for training", "phantom for validation"}


@pytest.mark.parametrize(
    "condition",
    [f"tags.data_version = '{DATA_VERSION}'", f"datasets.digest = '{TRAIN_VERSION}'"],
)
def test_runs_are_found_by_the_version_of_their_data(condition: str) -> None:
    train_for([1], {"lr": 0.1})
    assert len(runs(condition)) == 2
    assert runs(condition.replace("dd", "ee").replace("tt", "ee")) == []


def test_a_resumed_training_goes_on_in_its_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        train_for([1, 2], {"lr": 0.1}, killed=True)
    train_for([3, 4], {"lr": 0.1})
    assert curves() == [[1, 2, 3, 4]]


def test_other_parameters_are_another_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        train_for([1, 2], {"lr": 0.1}, killed=True)
    train_for([1], {"lr": 0.2})
    assert curves() == [[1, 2], [1]]


def test_a_finished_training_that_is_done_again_is_another_run() -> None:
    train_for([1, 2], {"lr": 0.1})
    train_for([1, 2], {"lr": 0.1})
    assert curves() == [[1, 2], [1, 2]]


def test_where_the_time_went_is_logged() -> None:
    with training_run.training_run(Subject("net-full", {}, "d", "t"), SETTINGS) as sink:
        sink(Finished(9.0, 1.0, 5.0, 2.0, 0.5))
    spent = {"cache_s": 1.0, "steps_s": 5.0, "waiting_s": 2.0, "validation_s": 0.5}
    assert runs()[-1].data.metrics == spent | {"seconds": 9.0}


def test_the_machine_is_watched_while_it_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    watched = {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"}
    deadline = time.monotonic() + 60
    with training_run.training_run(Subject("net-full", {}, "d", "t"), SETTINGS):
        while not watched <= set(runs()[-1].data.metrics):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_tracker_out_of_reach_stops_no_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    train_for([1, 2], {"lr": 0.1})
    assert "only in files" in caplog.text


class Tracker:
    """Takes values, or not."""

    def __init__(self, is_away: Callable[[int], bool]) -> None:
        self.is_away, self.calls, self.taken = is_away, 0, list[Metric]()

    def log_batch(self, _: str, metrics: list[Metric]) -> None:
        self.calls += 1
        if self.is_away(self.calls):
            raise ConnectionError("away")
        self.taken += metrics


def carry(tracker: Any, num_epochs: int) -> None:
    sender = MetricSender(tracker, "run")
    for number in range(num_epochs):
        sender.take({"val_auroc": 0.5}, number)
    sender.close()


def test_values_that_are_not_taken_wait_in_their_order(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(training_run, "RETRY_S", 0.01)
    tracker = Tracker(lambda call: call <= 3)
    carry(tracker, 50)
    assert [metric.step for metric in tracker.taken] == list(range(50))
    assert caplog.text.count("MLflow is away") == 1


def test_a_tracker_that_stays_away_is_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(training_run, "RETRY_S", 0.01)
    monkeypatch.setattr(training_run, "PATIENCE_S", 0.2)
    began = time.monotonic()
    carry(Tracker(lambda _: True), 50)
    assert time.monotonic() - began < 5
    assert "MLflow did not take 50 values: see var/events." in caplog.text


def test_more_values_than_a_batch_holds_are_all_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_run, "MAX_METRICS", 7)
    tracker = Tracker(lambda _: False)
    carry(tracker, 50)
    assert [metric.step for metric in tracker.taken] == list(range(50))


def test_a_training_that_fails_fails_its_sweep_until_it_goes_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        train_for([1], {"lr": 0.1}, killed=True)
    assert [run.info.status for run in runs()] == ["FAILED", "FAILED"]
    train_for([2], {"lr": 0.1})
    assert [run.info.status for run in runs()] == ["RUNNING", "FINISHED"]  # evaluate ends the sweep
