"""One stage run by DVC, as `dvc repro` would, in a process group of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pneumo_core import progress
from pneumo_core.errors import PipelineError, UnavailableError
from tasks import paths
from tasks.graph import failures

RUN_PID = "PNEUMO_RUN_PID"  # to the stage: of the process that runs DVC for it
HINTS = (  # lines that DVC prints around every stage
    "Running stage '",
    "> exec ",
    "To track the changes with git",
    "git add",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
    "Updating lock file",
    "Generating lock file",
)

_running: set[subprocess.Popen[str]] = set()


def run_stage(stage: str, log: Callable[[str], None] | None = None, force: bool = False) -> str:
    """Run one stage; its output goes to `log` by line, or straight to the terminal.

    With a log, `progress_file` says how far the stage is.

    DVC dies with the process that runs it, whatever kills that, and the stage with DVC.

    Args:
        force: even where DVC would find nothing to do.

    Returns:
        The last line of the stage's output; empty if it went to the terminal.

    Raises:
        UnavailableError: it could not reach what it needs, and may the next time.
        PipelineError: it failed; the message has the reason.
    """
    failures.forget(stage)
    shown = progress_file(stage)
    shown.parent.mkdir(parents=True, exist_ok=True)
    shown.write_text("")
    dvc = [sys.executable, "-m", "tasks.graph.reproduce", stage, *["--force"] * force]
    last = ""
    variables = {RUN_PID: str(os.getpid())} | ({progress.FILE: str(shown.resolve())} if log else {})
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *dvc],
        env=environment() | variables,
        stdout=None if log is None else subprocess.PIPE,
        stderr=None if log is None else subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        _running.add(process)
        try:
            for lines_at_once in _records(filter(_is_news, process.stdout or ())):
                last = lines_at_once[-1].strip()
                if log is not None:
                    log("".join(lines_at_once).rstrip())
            code = process.wait()
        finally:
            _running.discard(process)
            shown.unlink(missing_ok=True)
    if code:
        failure = failures.recall(stage)
        kind = UnavailableError if failure and failure.may_pass else PipelineError
        raise kind(f"Stage {stage} failed. {failure.message if failure else last}".rstrip())
    return last


def progress_file(stage: str) -> Path:
    """Return the file that is there while the stage runs; its one line says how far it is."""
    return paths.SCRATCH / "progress" / stage


def stop_running() -> None:
    """Ends the stages that run in other threads of this process, which no exception reaches."""
    for process in list(_running):
        os.killpg(process.pid, signal.SIGTERM)


def _records(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield each line, and each traceback whole: its indented lines and the one after them."""
    record: list[str] = []
    for line in lines:
        record.append(line)
        is_traceback = record[0].startswith("Traceback ")
        if not is_traceback or (len(record) > 1 and not line.startswith(" ")):
            yield record
            record = []
    if record:
        yield record


def _is_news(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith(HINTS)


def environment() -> dict[str, str]:
    """This one with `pneumo` and `dvc` of this very interpreter found first."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
