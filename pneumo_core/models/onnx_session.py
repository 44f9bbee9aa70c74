"""Run a file of ONNX on a processor."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from pneumo_core.errors import BundleError

NUM_ROWS = "N"  # the name of the first dimension of inputs and outputs

Floats32 = npt.NDArray[np.float32]


def open_session(file: Path | bytes) -> Any:
    """Return a session for one row at a time, which runs in the thread that calls it.

    With the number of rows known, ONNX Runtime joins the padding with the convolutions.

    Raises:
        BundleError: ONNX Runtime cannot load the file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_free_dimension_override_by_name(NUM_ROWS, 1)
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises its own, unrelated kinds
        named = file if isinstance(file, Path) else "the file"
        raise BundleError(f"ONNX Runtime cannot load {named}: {error}") from error


def run(session: Any, names: Sequence[str], rows: npt.NDArray[Any]) -> list[Floats32]:
    """Return these outputs of each row of the one input, each thread one row at a time.

    That is faster than a batch, and than several threads for one row.
    """
    (given,) = session.get_inputs()

    def of_row(row: npt.NDArray[Any]) -> list[Floats32]:
        found: list[Floats32] = session.run(names, {given.name: row[np.newaxis]})
        return found

    with ThreadPoolExecutor(min(_num_threads(), len(rows))) as pool:
        found = list(pool.map(of_row, rows))
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def _num_threads() -> int:
    """Return as many threads as torch has here."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
