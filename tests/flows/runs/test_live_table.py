"""The table of a run in a terminal: every stage with its state, and how far it is."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.states import Completed, Failed
from rich.console import Console

from flows.runs.live_table import Stages, log_to_file, shown
from pneumo_core import progress
from tasks import paths
from tasks.graph.dvc_stage import progress_file

STAGES = ["ingest", "dedup", "train@net-full", "report"]


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "SCRATCH", tmp_path)
    monkeypatch.setattr(paths, "RUN_LOG", tmp_path / "run.log")


def drawn(stages: Stages, max_rows: int = 40) -> list[str]:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(stages.table(max_rows))
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def a_run() -> Stages:
    """Return a run whose first stage is done, whose second failed, and whose third computes."""
    stages = Stages(STAGES)
    for stage in STAGES[:3]:
        stages.started(stage)
    stages.ended("ingest", Completed(message="ingest: 523 files from a (b) folder (7 s)"))
    stages.ended("dedup", Failed(message="Stage dedup failed. The disk is full."))
    return stages


def test_each_stage_says_what_it_found_or_how_far_it_is() -> None:
    stages = a_run()
    file = progress_file("train@net-full")
    file.parent.mkdir()
    file.write_text("net-full 160/200 img, 00:04 left")
    done, failed, running, waiting = drawn(stages)
    assert done == "✓ ingest 0 s 523 files from a (b) folder"
    assert failed == "✗ dedup 0 s Stage dedup failed. The disk is full."
    assert running.endswith("train@net-full 0 s 160/200 img, 00:04 left")
    assert waiting == "· report waits"


def test_a_stage_without_a_bar_runs() -> None:
    assert drawn(a_run())[2].endswith("train@net-full 0 s runs")


def test_a_stage_runs_from_when_its_file_is_there() -> None:
    stages = a_run()
    assert drawn(stages)[3] == "· report waits"
    progress_file("report").parent.mkdir()
    progress_file("report").write_text("")
    assert drawn(stages)[3].endswith("report 0 s runs")
    progress_file("report").unlink()
    assert drawn(stages)[3].endswith("report 0 s runs")


def test_a_file_that_a_killed_run_left_is_no_sign_of_a_stage() -> None:
    progress_file("report").parent.mkdir()
    progress_file("report").write_text("score 1/2 batch")
    with shown(["report"]) as stages:
        assert drawn(stages) == ["· report waits"]


def test_a_small_terminal_counts_what_is_done_and_what_waits() -> None:
    stages = Stages([f"stage{n}" for n in range(30)])
    for n in range(4):
        stages.started(f"stage{n}")
    stages.ended("stage1", Failed(message="No."))
    for n in (0, 2):
        stages.ended(f"stage{n}", Completed(message="done (1 s)"))
    lines = drawn(stages, max_rows=8)
    assert len(lines) == 8
    assert lines[0] == "✓ 2 more done"
    assert lines[1].startswith("✗ stage1")
    assert lines[2].endswith("stage3 0 s runs")
    assert lines[-1] == "· 22 more wait"


def test_a_stage_in_a_run_writes_its_progress_into_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "deep" / "line"
    monkeypatch.setenv(progress.FILE, str(file))
    monkeypatch.setattr(progress, "EVERY_S", 0)
    seen = []
    for outer in progress.track(range(2), "audit", unit="model"):
        assert list(progress.track(range(100), "score")) == list(range(100))
        seen.append((outer, file.read_text("utf-8")))
    assert [n for n, _ in seen] == [0, 1]
    assert seen[0][1].startswith("audit 0/2 model")
    assert re.fullmatch(r"audit 1/2 model, \d\d:\d\d left", seen[1][1])
    assert capsys.readouterr() == ("", "")


IN_A_TERMINAL = """
import logging, sys, time
from pathlib import Path
from prefect.states import Completed
from flows.runs import live_table
from tasks import paths
paths.SCRATCH, paths.RUN_LOG = Path("."), Path("run.log")
log = logging.getLogger("prefect.flow_runs")
with live_table.log_to_file(), live_table.shown(["ingest", "split"]) as stages:
    log.setLevel("INFO")
    log.warning("The bucket is full.")
    log.info("A line for the file")
    stages.started("ingest")
    stages.ended("ingest", Completed(message="5 files (1 s)"))
print("the end")
"""


def test_in_a_terminal_the_table_stands_alone_with_warnings_above(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    root = str(Path(__file__).parents[3])
    subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": root, "TERM": "xterm", "COLUMNS": "80"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        check=True,
        timeout=120,
    )
    os.close(theirs)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", os.read(ours, 65536).decode())
    os.close(ours)
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    assert lines[-3:] == ["✓ ingest 0 s 5 files", "· split waits", "the end"]
    assert "The bucket is full." in lines
    assert "A line for the file" not in text
    logged = (tmp_path / "run.log").read_text("utf-8")
    assert "WARNING The bucket is full." in logged
    assert "INFO A line for the file" in logged


def test_a_pipe_keeps_the_log_as_it_is() -> None:
    with log_to_file():
        assert not paths.RUN_LOG.exists()
