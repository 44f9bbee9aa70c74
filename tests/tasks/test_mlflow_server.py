"""A real MLflow server that is killed in the middle of logging, and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pneumo_core import params
from pneumo_core.errors import PromotionError
from pneumo_core.events import EpochEnded
from tasks import custody, places, promote, registration, registry, runs, tracking, training_run
from tasks.runs import Subject

PATIENCE_S = 120


class Server:
    """On its own database and artifact folder, which outlive it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        store = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
        artifacts = ["--artifacts-destination", str(folder / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        self._command = [sys.executable, "-m", "mlflow", "server", *address, *store, *artifacts]
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
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def server(
    tmp_path: Path,
    empty_store: Path,
    project: Path,  # noqa: ARG001 (entered)
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    found = Server(folder)
    found.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", found.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield found
    found.kill()


def epoch(number: int) -> EpochEnded:
    return EpochEnded(number, 0.1, 0.5, 0.4, 0.9, 100.0, 0.0)


def test_killed_while_one_trains_and_one_registers(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training loses no value; the registration leaves nothing half done, and is done again."""
    settings = params.load(places.PARAMS)
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
            with pytest.raises(PromotionError, match="The registry does not do what was asked"):
                promote.run(settings.promote)
        sink(epoch(2))
        with pytest.raises(PromotionError, match="cannot be read"):
            registry.find_champion("pneumo", "champion")
        assert not places.PROMOTION_LEDGER.exists()
        assert not places.DECISION.exists()
        server.start()
        sink(epoch(3))

    client = tracking.connect()
    run_id = str(runs.find(client, subject.tags()))
    history = client.get_metric_history(run_id, "val_auroc")
    assert [point.step for point in history] == [1, 2, 3]
    assert client.get_run(run_id).info.status == "FINISHED"
    assert registry.versions("pneumo") == {}
    promote.run(settings.promote)
    assert list(registry.versions("pneumo")) == ["1"]
    assert custody.verify("pneumo") == []
