"""What follows from a look at new films: a training on a real Prefect server, or a word."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness

from flows.runs import monitoring
from pneumo_core.errors import PipelineError
from pneumo_core.inference.drift import FigureDrift, Findings
from pneumo_core.params import MonitorParams

# Prefect's clients leave sockets to the garbage collector.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[3]
DRIFT = FigureDrift("std", "contrast", 0.4, 1e-5, 50.0, 70.0, drifted=True)
DRIFTED = Findings("films", "pneumo@champion", 30, 30, 0, 0, 25, 60, (DRIFT,), MonitorParams())
CALM = replace(DRIFTED, comparisons=(replace(DRIFT, drifted=False),))


def test_what_cron_gets(trained: Path, typed: Run, tmp_path: Path) -> None:
    """The source of the champion's films, then those films inverted, then no films at all."""
    seen = typed("pneumo", "monitor", "--out", tmp_path / "seen", cwd=trained)
    assert seen.returncode == 0, seen.stderr
    assert "No training is due." in seen.stdout

    (tmp_path / "inverted").mkdir()
    for film in (trained / "results/ingest/raw/test").rglob("*.jpeg"):
        picture = ImageOps.invert(Image.open(film).convert("L"))
        picture.save(tmp_path / "inverted" / film.name)
    asked = ["--source", tmp_path / "inverted", "--out", tmp_path / "out"]
    inverted = typed("pneumo", "monitor", *asked, cwd=trained)
    assert inverted.returncode == 3, inverted.stderr
    assert "features drifted" in inverted.stdout
    assert monitoring.NOT_INGESTED in inverted.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"monitor.json", "monitor.html", "monitor.ko.html"}

    (tmp_path / "broken").mkdir()
    for number in range(60):
        (tmp_path / "broken" / f"{number}.jpeg").write_bytes(b"no film %d" % number)
    asked = ["--source", tmp_path / "broken", "--out", tmp_path / "broken_out"]
    broken = typed("pneumo", "monitor", *asked, cwd=trained)
    assert broken.returncode == 3, broken.stderr
    assert "60 of 60 new films cannot be used" in broken.stdout
    assert "No training is due" not in broken.stdout
    assert "60 of 60" in (tmp_path / "broken_out" / "monitor.html").read_text()

    wrong = typed("pneumo", "monitor", "--source", tmp_path / "nowhere", cwd=trained)
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr


def test_without_a_server_it_is_said_how_to_train() -> None:
    assert get_current_settings().api.url is None
    assert monitoring.BY_HAND in monitoring.call_for_training(DRIFTED)


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=300):
        yield


@pytest.fixture(scope="module")
def deployed(server: None, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: ARG001
    """By the project's own prefect.yaml, as its head says."""
    folder = tmp_path_factory.mktemp("deploying")
    shutil.copy(ROOT / "prefect.yaml", folder)
    shutil.copytree(ROOT / "flows", folder / "flows")
    address = {"PREFECT_API_URL": str(get_current_settings().api.url), "PNEUMO_ROOT": str(folder)}
    for command in (["work-pool", "create", "local", "--type", "process"], ["deploy", "--all"]):
        subprocess.run(
            ["prefect", "--no-prompt", *command], cwd=folder, env=os.environ | address, check=True
        )


def runs() -> list[FlowRun]:
    """Those that are started by hand, not by a schedule."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs()
        return [run for run in found if run.deployment_id and not run.auto_scheduled]


@pytest.mark.usefixtures("server")
def test_a_server_without_the_deployment_is_told() -> None:
    with pytest.raises(PipelineError, match="has no deployment pneumo/retrain"):
        monitoring.call_for_training(DRIFTED)


@pytest.mark.usefixtures("deployed")
def test_same_findings_start_one_training_which_looks_into_the_source() -> None:
    started = monitoring.call_for_training(DRIFTED)
    (run,) = runs()
    assert started.startswith("Training started: http")
    assert str(run.id) in started
    assert run.parameters == {"ingest_again": True}
    monitoring.call_for_training(DRIFTED)
    assert len(runs()) == 1
    monitoring.call_for_training(replace(DRIFTED, num_new=31))
    assert len(runs()) == 2


@pytest.mark.usefixtures("server")
def test_the_flow_fails_where_no_film_can_be_read(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for number in range(60):
        (tmp_path / f"{number}.jpeg").write_bytes(b"no film %d" % number)
    state = monitoring.monitor(source=str(tmp_path), return_state=True)
    assert state.is_failed()
    assert "60 of 60 new films cannot be used" in str(state.message)
    alarms = (trained / "var" / "failed_runs.jsonl").read_text().splitlines()
    assert json.loads(alarms[-1])["message"] == state.message

    nowhere = monitoring.monitor(source=str(tmp_path / "nowhere"), return_state=True)
    assert str(nowhere.message).startswith("Nothing at ")


@pytest.mark.usefixtures("server")
def test_before_the_first_champion_the_flow_raises_no_alarm(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    state = monitoring.monitor(alias="nobody", return_state=True)
    assert (state.type, state.name) == (StateType.COMPLETED, "Skipped")
    assert "No model pneumo@nobody" in str(state.message)


@pytest.mark.usefixtures("deployed")
@pytest.mark.parametrize(("findings", "num_started"), [(CALM, 0), (DRIFTED, 1)])
def test_the_flow_shows_the_page_and_trains_where_it_is_called_for(
    findings: Findings, num_started: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    findings = replace(findings, source=str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(monitoring, "look", lambda *_: findings)
    before = len(runs())
    state = monitoring.monitor(return_state=True)
    assert state.is_completed()
    assert len(runs()) - before == num_started
    assert ("contrast drifted" in str(state.message)) == bool(num_started)
    assert ("30 new films: no drift" in str(state.message)) != bool(num_started)
    artifact = Artifact.get(key="new-films")
    assert artifact is not None
    assert str(artifact.data).startswith("# New films")
