"""A stage ends with the run that started it, however early that died."""

import os
import subprocess
import sys

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
