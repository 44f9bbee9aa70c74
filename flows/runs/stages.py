"""The body of a stage by its name: the section of `params.yaml` that it needs, and its module."""

import ctypes
import importlib
import os
import signal
from pathlib import Path

from pneumo_core import params as all_params
from pneumo_core import versions
from pneumo_core.errors import PipelineError, PneumoError
from pneumo_core.params import Strategy
from tasks import paths
from tasks.graph import dvc_stage, failures

PR_SET_PDEATHSIG = 1


def run_body(name: str, model: str | None, strategy: str | None) -> None:
    """Run the body of a stage in this process.

    Raises:
        PipelineError: train was called without a cell, or a library is not the recorded one.
    """
    die_with_parent()
    # Read as torch is imported: threads that spin as they wait starve whoever else computes.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        require_same_versions()
        _run(name, model, strategy)
        require_same_versions()  # nobody recorded others meanwhile, which DVC would take for these
    except (PneumoError, OSError) as error:
        failures.record(name if model is None else f"{name}@{model}-{strategy}", error)
        raise


def _run(name: str, model: str | None, strategy: str | None) -> None:
    params = all_params.load(paths.PARAMS)
    if name != "train":
        importlib.import_module(f"tasks.{name}").run(params.section(name))
        return
    if model is None or strategy not in set(Strategy):
        raise PipelineError(f"train needs a timm model and one of {', '.join(Strategy)}.")
    from pneumo_core.training.context import Cell
    from tasks.train import run

    run(params.train, Cell(model, Strategy(strategy)))


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
