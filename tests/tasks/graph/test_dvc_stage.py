"""A stage run by DVC: what it says, why it failed, and that it dies with whoever runs it."""

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import yaml

from pneumo_core.errors import PipelineError, UnavailableError
from tasks.graph import dvc_stage, failures

STAGES = {
    "talk": "echo first; echo last",
    "stumble": "echo why; exit 1",
    "break": "python -c '1 / 0'",
    "sleep": "touch asleep; exec sleep 600",
}
PATIENCE_S = 120


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    graph = {"stages": {name: {"cmd": command} for name, command in STAGES.items()}}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(graph))
    return tmp_path


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_its_lines_come_as_they_are_said_and_the_last_is_returned() -> None:
    lines: list[str] = []
    assert dvc_stage.run_stage("talk", lines.append) == "last"
    assert lines[-2:] == ["first", "last"]


def test_one_that_left_no_reason_is_known_by_what_it_said() -> None:
    with pytest.raises(PipelineError, match=r"Stage stumble failed\. DVC: .*exited with 1"):
        dvc_stage.run_stage("stumble", lambda _: None)


def test_a_traceback_is_one_record_of_the_log() -> None:
    records: list[str] = []
    with pytest.raises(PipelineError, match="Stage break failed"):
        dvc_stage.run_stage("break", records.append)
    (traceback,) = (each for each in records if "Traceback" in each)
    first, *_, last = traceback.splitlines()
    assert first.startswith("Traceback ")
    assert last == "ZeroDivisionError: division by zero"
    assert records.index(traceback) < len(records) - 1  # what DVC says of it is not part of it


def test_a_reason_that_may_pass_is_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reason = failures.Failure("nobody answers", may_pass=True)
    monkeypatch.setattr(failures, "recall", lambda _: reason)
    with pytest.raises(UnavailableError, match=r"Stage stumble failed\. nobody answers"):
        dvc_stage.run_stage("stumble", lambda _: None)


def test_stages_in_other_threads_can_be_stopped(project: Path) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            dvc_stage.run_stage("sleep", lambda _: None)
        except PipelineError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(project / "asleep")
    dvc_stage.stop_running()
    thread.join(PATIENCE_S)
    assert len(failed) == 1


@pytest.mark.slow
def test_dvc_dies_with_a_runner_that_is_killed(project: Path) -> None:
    code = "from tasks.graph.dvc_stage import run_stage; run_stage('sleep', print)"
    runner = psutil.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    wait_for(project / "asleep")
    dvc, *below = runner.children(recursive=True)
    runner.kill()
    runner.wait()
    gone, _ = psutil.wait_procs([dvc], PATIENCE_S)
    for process in below:  # `sleep`, which is no stage of ours
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert gone == [dvc]
