"""The body of a stage by its name: the section of `params.yaml` that it needs, and its module."""

import ctypes
import importlib
import os
import signal
from pathlib import Path

from pneumo_core import params as all_params
from pneumo_core import versions
from pneumo_core.errors import PipelineError
from pneumo_core.params import Strategy
from tasks import paths
from tasks.graph import dvc_graph, dvc_stage, failures

PR_SET_PDEATHSIG = 1


def run_body(name: str, *part: str) -> None:
    """Run the body of a stage in this process.

    Args:
        part: model and strategy for train, the set for external, nothing for the others.

    Raises:
        PipelineError: the part is missing or wrong, or a library is not the recorded one.
    """
    die_with_parent()
    keep_from_others()
    # Read as torch is imported: threads that spin for long as they wait starve whoever else
    # computes, and those that sleep at once are slow.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        require_same_versions()
        _run(name, *part)
        require_same_versions()  # nobody recorded others meanwhile, which DVC would take for these
    except Exception as error:  # whatever it is, the run says it
        failures.record("@".join(filter(None, [name, "-".join(part)])), error)
        raise


def _run(name: str, *part: str) -> None:
    if name == dvc_graph.VERSIONS:
        versions.record(paths.VERSIONS)
        return
    params = all_params.load()
    match name, *part:
        case "train", model, strategy if strategy in set(Strategy):
            from pneumo_core.training.context import Cell
            from tasks.train import run

            run(params.train, Cell(model, Strategy(strategy)))
        case "train", *_:
            raise PipelineError(f"train needs a timm model and one of {', '.join(Strategy)}.")
        case "external", set_name:
            from tasks import external

            external.run(params, set_name)
        case "external", *_:
            raise PipelineError("external needs the name of a set in evaluate.external.")
        case stage, *too_much:
            if too_much:
                raise PipelineError(f"{stage} has no parts: run `pneumo stage {stage}`.")
            importlib.import_module(f"tasks.{stage}").run(params.section(stage))


def require_same_versions() -> None:
    """Stop before results of two versions of a library mix, and record the new versions.

    Within a run that began with other versions nothing is recorded: other stages still compute.

    Raises:
        PipelineError: DVC compared other versions than those that are installed.
    """
    changes = versions.changes(paths.VERSIONS)
    if dvc_stage.RUN_PID not in os.environ:
        versions.record(paths.VERSIONS)
    if changes:
        raise PipelineError(
            f"Libraries have changed since results were made: {', '.join(changes)}. "
            "Run the same command again: it computes anew what depends on them."
        )


def keep_from_others() -> None:
    """Let only owner and group read what stages write, and the folders where DVC keeps it.

    `var` itself stays open, since the local PostgreSQL may run as another user below it.
    """
    paths.SCRATCH.mkdir(parents=True, exist_ok=True)
    os.umask(os.umask(0o077) | 0o007)
    for folder in (*map(Path, ("results", "reports", ".dvc/cache")), paths.SCRATCH / "dvc-store"):
        if folder.is_dir():
            folder.chmod(folder.stat().st_mode & 0o7770)


def die_with_parent() -> None:
    """End with the parent: without its DVC a stage must not write beside the next one (Linux only).

    A parent that was killed before this call sends no signal, but is not an ancestor.

    Raises:
        PipelineError: the run that started this stage is gone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    run = os.environ.get(dvc_stage.RUN_PID)
    if run is not None and int(run) not in _ancestors():
        raise PipelineError("The run that started this stage is gone.")


def _ancestors() -> set[int]:
    found, pid = set[int](), os.getppid()
    while pid:
        found.add(pid)
        stat = Path(f"/proc/{pid}/stat").read_text()
        pid = int(stat.rpartition(")")[2].split()[1])
    return found
