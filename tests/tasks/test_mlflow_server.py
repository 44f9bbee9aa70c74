"""A real MLflow server that is killed in the middle of logging and started again, and one whose
artifacts are in an S3 store that does not take them."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pneumo_core import params
from pneumo_core.errors import PromotionError
from pneumo_core.training.events import EpochEnded
from tasks import paths, promote
from tasks.graph import failures
from tasks.registry import model_versions, registration, rollback
from tasks.tracking import connection, runs, training_run
from tasks.tracking.runs import Subject

PATIENCE_S = 300  # met in 20 on a free machine


class Server:
    """On its own database, which outlives it."""

    def __init__(self, folder: Path, artifacts: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        store = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        self._command = [sys.executable, "-m", "mlflow", "server", *address, *store]
        self._command += ["--artifacts-destination", artifacts]
        self._log = folder / "log"

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def start(
    tmp_path: Path,
    empty_store: Path,
    project: Path,  # noqa: ARG001 (entered)
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Server]]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    started = []

    def start(artifacts: str | None = None) -> Server:
        server = Server(folder, artifacts or str(folder / "artifacts"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    return start()


def epoch(number: int) -> EpochEnded:
    return EpochEnded(number, 0.1, 0.5, 0.4, 0.9, 100.0, 0.0)


def test_killed_while_one_trains_and_one_registers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training loses no value; the registration leaves nothing half done, and is done again."""
    settings = params.load()
    register_model = registration.mlflow.register_model

    def killed_before(*arguments: Any, **options: Any) -> Any:
        """The model is logged by now, its version is not."""
        server.kill()
        return register_model(*arguments, **options)

    monkeypatch.setattr(training_run, "RETRY_S", 0.2)
    monkeypatch.setattr(training_run, "PATIENCE_S", PATIENCE_S)
    subject = Subject("net-full", {"lr": 0.1}, "d", "t")
    with training_run.training_run(subject, settings.train) as sink:
        sink(epoch(1))
        with monkeypatch.context() as patch:
            patch.setattr(registration.mlflow, "register_model", killed_before)
            with pytest.raises(PromotionError, match="does not do what was asked") as away:
                promote.run(settings.promote)
        assert failures.may_pass(away.value)
        sink(epoch(2))
        with pytest.raises(PromotionError, match="cannot be read"):
            model_versions.find_champion("pneumo", "champion")
        assert not paths.PROMOTION_LEDGER.exists()
        assert not paths.DECISION.exists()
        server.start()
        sink(epoch(3))

    client = connection.connect()
    run_id = str(runs.find(client, subject.tags()))
    history = client.get_metric_history(run_id, "val_auroc")
    assert [point.step for point in history] == [1, 2, 3]
    assert client.get_run(run_id).info.status == "FINISHED"
    assert model_versions.versions("pneumo") == {}
    promote.run(settings.promote)
    assert list(model_versions.versions("pneumo")) == ["1"]
    assert rollback.verify("pneumo") == []


def test_killed_while_values_are_on_their_way(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of a batch had come before the kill, each value is there once."""
    monkeypatch.setattr(training_run, "RETRY_S", 0.2)
    monkeypatch.setattr(training_run, "PATIENCE_S", PATIENCE_S)
    subject = Subject("net-full", {"lr": 0.1}, "d", "t")
    client = connection.connect()
    with training_run.training_run(subject, params.load().train) as sink:
        for number in range(1, 1001):
            sink(epoch(number))
        run_id = str(runs.find(client, subject.tags()))
        while not client.get_metric_history(run_id, "val_auroc"):
            time.sleep(0.01)
        server.kill()
        server.start()
        arrived = len(client.get_metric_history(run_id, "val_auroc"))
        sink(epoch(1001))
    assert arrived < 1000  # or the kill came too late to show anything
    for name in ("val_auroc", "train_loss"):
        history = client.get_metric_history(run_id, name)
        assert sorted(point.step for point in history) == list(range(1, 1002))


def test_store_that_does_not_take_a_model_leaves_nothing_half_registered(
    start: Callable[..., Server],
    store: Any,
    s3: Any,  # noqa: ARG001 (the bucket is there)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refused, no room, slow: the first two stop the promotion, the third is waited for."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # of the server, which would ask for a minute
    start("s3://films/mlflow")
    settings = params.load().promote
    for status in (403, 507):
        store.fault = lambda method, path, status=status: (
            status if method == "PUT" and path.endswith("weights.safetensors") else None
        )
        with pytest.raises(PromotionError, match="does not do what was asked"):
            promote.run(settings)
        assert model_versions.versions("pneumo") == {}
        assert not paths.PROMOTION_LEDGER.exists()
        assert not paths.DECISION.exists()
    store.fault = lambda method, _path: 0.05 if method == "PUT" else None  # 160 of them
    promote.run(settings)
    assert list(model_versions.versions("pneumo")) == ["1"]
    assert rollback.verify("pneumo") == []
