"""A stage ends with the run that started it, and mixes no results of two versions of a library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.runs import stages
from pneumo_core import versions
from pneumo_core.errors import PipelineError
from tasks import paths
from tasks.graph.dvc_stage import RUN_PID


def stage_of(run: int) -> subprocess.CompletedProcess[str]:
    code = "from flows.runs.stages import die_with_parent; die_with_parent(); print('goes on')"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {RUN_PID: str(run)},
        capture_output=True,
        text=True,
    )


def test_a_stage_whose_run_is_gone_does_not_begin() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    result = stage_of(gone.pid)
    assert (result.returncode, result.stdout) == (1, "")
    assert "The run that started this stage is gone." in result.stderr


def test_a_stage_whose_run_is_there_goes_on() -> None:
    assert stage_of(os.getpid()).stdout == "goes on\n"


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a project that has run with an older timm."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(RUN_PID, raising=False)
    versions.record(paths.VERSIONS)
    file = paths.VERSIONS / "learning.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"timm": "0.1"}))
    return file


def test_a_stage_after_an_upgrade_stops_once_and_names_the_library(recorded: Path) -> None:
    now = versions.version("timm")
    with pytest.raises(PipelineError, match=rf"timm 0\.1 -> {now}\. Run the same command again"):
        stages.require_same_versions()
    assert json.loads(recorded.read_text())["timm"] == now
    stages.require_same_versions()


def test_within_a_run_nothing_is_recorded(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other stages of the run are computed with the versions that were recorded."""
    monkeypatch.setenv(RUN_PID, str(os.getpid()))
    with pytest.raises(PipelineError, match="timm"):
        stages.require_same_versions()
    assert json.loads(recorded.read_text())["timm"] == "0.1"


def test_a_stage_ends_badly_where_versions_changed_while_it_ran(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = recorded.read_text()
    versions.record(paths.VERSIONS)
    monkeypatch.setattr(stages, "die_with_parent", lambda: None)
    monkeypatch.setattr(stages, "_run", lambda *_: recorded.write_text(older))
    with pytest.raises(PipelineError, match="timm"):
        stages.run_body("evaluate")


@pytest.mark.parametrize(("policy", "spins"), [(None, "10000"), ("ACTIVE", None)])
def test_threads_of_a_stage_spin_for_a_short_time_unless_the_user_says_how_they_wait(
    policy: str | None, spins: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    for name in ("die_with_parent", "keep_from_others", "require_same_versions"):
        monkeypatch.setattr(stages, name, lambda: None)
    monkeypatch.setattr(stages, "_run", lambda *_: seen.append(os.environ.get("GOMP_SPINCOUNT")))
    stages.run_body("evaluate")
    assert seen == [spins]


def test_others_can_read_nothing_of_what_stages_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    try:
        for name in ("results/ingest", ".dvc/cache", "var"):
            Path(name).mkdir(parents=True)
        stages.keep_from_others()
        Path("results/ingest/raw").mkdir()
        Path("results/ingest/raw/film").write_bytes(b"x")
    finally:
        os.umask(before)
    modes = {name: oct(Path(name).stat().st_mode & 0o777) for name in ("results", ".dvc/cache")}
    assert modes == {"results": "0o750", ".dvc/cache": "0o750"}
    assert Path("results/ingest/raw").stat().st_mode & 0o777 == 0o750
    assert Path("results/ingest/raw/film").stat().st_mode & 0o777 == 0o640
    assert Path("var").stat().st_mode & 0o777 == 0o755
