"""One stage run by DVC, as `dvc repro` would, in a process group of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pneumo_core.errors import PipelineError

OURS = "pneumo: "  # how the command line begins an error
HINTS = (  # what DVC says after every stage
    "To track the changes with git",
    "git add",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
    "Updating lock file",
    "Generating lock file",
)


def run_stage(stage: str, log: Callable[[str], None] | None = None, force: bool = False) -> None:
    """Runs one stage; its output goes to `log` by line, or straight to the terminal.

    Args:
        force: even where DVC would find nothing to do.

    Raises:
        PipelineError: the stage failed; what it printed last is in the message.
    """
    # The flag waits for DVC's lock beside other stages; it must stand before `repro`.
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", stage]
    command += ["--force"] * force
    process = subprocess.Popen(
        command,
        env=environment(),
        stdout=None if log is None else subprocess.PIPE,
        stderr=None if log is None else subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said: list[str] = []
    try:
        if log is not None and process.stdout is not None:
            for line in filter(_is_news, process.stdout):
                said.append(line.strip())
                log(line.rstrip())
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code:
        # The stage's own last word tells more than DVC's line about it.
        own = [line.removeprefix(OURS) for line in said if line.startswith(OURS)]
        raise PipelineError(f"Stage {stage} failed. {(own or said or [''])[-1]}".rstrip())


def _is_news(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith(HINTS)


def environment() -> dict[str, str]:
    """This one with `pneumo` and `dvc` of this very interpreter found first."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
