"""The body of a stage by its name: the section of `params.yaml` that it needs, and its module."""

import ctypes
import importlib
import os
import signal

from pneumo_core import params as all_params
from pneumo_core.errors import PipelineError, PneumoError
from pneumo_core.params import Strategy
from tasks import failures, places

PR_SET_PDEATHSIG = 1


def run_body(name: str, model: str | None, strategy: str | None) -> None:
    """
    Raises:
        PipelineError: train was called without a cell.
    """
    die_with_parent()
    # Read as torch is imported: threads that spin as they wait starve whoever else computes.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _run(name, model, strategy)
    except (PneumoError, OSError) as error:
        failures.record(name if model is None else f"{name}@{model}-{strategy}", error)
        raise


def _run(name: str, model: str | None, strategy: str | None) -> None:
    params = all_params.load(places.PARAMS)
    body = importlib.import_module(f"tasks.{name}").run
    if name != "train":
        body(params.section(name))
        return
    from pneumo_core.training import Cell

    if model is None or strategy not in set(Strategy):
        raise PipelineError(f"train needs a timm model and one of {', '.join(Strategy)}.")
    body(params.train, Cell(model, Strategy(strategy)))


def die_with_parent() -> None:
    """A stage whose DVC was killed must not go on writing beside the next one (Linux only)."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
