"""A training as an MLflow run, in a real database."""

from pathlib import Path

import pytest

from pneumo_core.events import EpochEnded, Finished
from tasks import tracking


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def epoch(number: int) -> EpochEnded:
    return EpochEnded(number, 0.1, 0.5, 0.4, 0.9, 100.0, 0.0)


def train_for(epochs: range, params: dict[str, object], killed: bool = False) -> None:
    with tracking.training_run("net-full", params, {}) as sink:
        for number in epochs:
            sink(epoch(number))
        if killed:
            raise KeyboardInterrupt


def runs() -> list[list[int]]:
    """The epochs that each run has, oldest run first."""
    client = tracking.connect()
    (experiment,) = client.search_experiments(filter_string="name = 'pneumo'")
    found = client.search_runs([experiment.experiment_id], order_by=["start_time ASC"])
    return [
        [point.step for point in client.get_metric_history(run.info.run_id, "val_auroc")]
        for run in found
    ]


def test_a_resumed_training_goes_on_in_its_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        train_for(range(1, 3), {"lr": 0.1}, killed=True)
    train_for(range(3, 5), {"lr": 0.1})
    assert runs() == [[1, 2, 3, 4]]


def test_other_parameters_are_another_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        train_for(range(1, 3), {"lr": 0.1}, killed=True)
    train_for(range(1, 2), {"lr": 0.2})
    assert runs() == [[1, 2], [1]]


def test_where_the_time_went_is_logged() -> None:
    with tracking.training_run("net-full", {}, {}) as sink:
        sink(Finished(9.0, 1.0, 5.0, 2.0, 0.5))
    client = tracking.connect()
    (experiment,) = client.search_experiments(filter_string="name = 'pneumo'")
    (run,) = client.search_runs([experiment.experiment_id])
    spent = {"cache_s": 1.0, "steps_s": 5.0, "waiting_s": 2.0, "validation_s": 0.5}
    assert run.data.metrics == spent | {"seconds": 9.0}


def test_a_tracker_out_of_reach_stops_no_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    train_for(range(1, 3), {"lr": 0.1})
    assert "only in files" in caplog.text
