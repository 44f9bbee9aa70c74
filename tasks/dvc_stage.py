"""One stage run by DVC, as `dvc repro` would, in a process group of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pneumo_core.errors import PipelineError


def run_stage(stage: str, log: Callable[[str], None] | None = None) -> None:
    """Runs one stage; its output goes to `log` by line, or straight to the terminal.

    Raises:
        PipelineError: the stage failed; what it printed last is in the message.
    """
    # The flag waits for DVC's lock beside other stages; it must stand before `repro`.
    dvc = [sys.executable, "-m", "dvc", "--wait-for-lock"]
    command = [*dvc, "repro", "--quiet", "--single-item", stage]
    process = subprocess.Popen(
        command,
        env=environment(),
        stdout=None if log is None else subprocess.PIPE,
        stderr=None if log is None else subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    last = ""
    try:
        if log is not None and process.stdout is not None:
            for line in process.stdout:
                last = line.strip() or last
                log(line.rstrip())
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code:
        raise PipelineError(f"Stage {stage} failed{f': {last}' if last else ''}.")


def environment() -> dict[str, str]:
    """This one with `pneumo` and `dvc` of this very interpreter found first."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
