"""A model that ONNX Runtime runs, from the `model.onnx` of a bundle."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from pneumo_core.arrays import Gray, Images
from pneumo_core.errors import BundleError, EvaluationError

if TYPE_CHECKING:
    from pneumo_core.evaluation.torch_engine import TorchEngine

FILMS = "films"  # the input: gray bytes [N, H, W]
LOGITS, FEATURES = "logits", "features"  # [N, K]; [N, F], the input of the classifier
FEATURE_MAP = "feature_map"  # [N, C, h, w], the last map of the film
EVIDENCE = "evidence"  # [N, h, w], for pneumonia
OUTPUTS = (LOGITS, FEATURES, FEATURE_MAP, EVIDENCE)  # the last two where the model has them

MAX_PIXELS = 64 * 224**2  # that are given at a time: enough for many threads


class OnnxEngine:
    """An `engine.Engine`.

    Args:
        in_torch: loads the same model in torch, for saliency maps that need a gradient.
    """

    def __init__(self, path: Path, in_torch: Callable[[], "TorchEngine"]) -> None:
        self._session = open_session(path)
        self._names = {output.name for output in self._session.get_outputs()}
        self.in_torch = cache(in_torch)

    def batch_size(self, size_px: int) -> int:
        return max(1, MAX_PIXELS // size_px**2)

    def read(self, films: Images) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        logits, features = self._run([LOGITS, FEATURES], films)
        return logits, features

    def evidence(self, films: Images) -> npt.NDArray[np.float32]:
        if FEATURE_MAP not in self._names:
            raise EvaluationError(
                "The model does not end in a map of the film. Saliency needs a convolutional "
                "network."
            )
        if EVIDENCE not in self._names:
            return self.in_torch().evidence(films)
        (evidence_NHW,) = self._run([EVIDENCE], films)
        return evidence_NHW

    def _run(self, names: Sequence[str], films: Images) -> list[npt.NDArray[np.float32]]:
        """Run each film by itself, as many at a time as there are threads.

        That is faster than a batch, and than several threads for one film.
        """

        def run(film: Gray) -> list[npt.NDArray[np.float32]]:
            found: list[npt.NDArray[np.float32]] = self._session.run(
                names, {FILMS: film[np.newaxis]}
            )
            return found

        with ThreadPoolExecutor(min(_num_threads(), len(films))) as pool:
            found = list(pool.map(run, films))
        return [np.concatenate(each) for each in zip(*found, strict=True)]


def open_session(path: Path) -> Any:
    """Return a session that runs in the thread that calls it; raise BundleError if it fails."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises its own, unrelated kinds
        raise BundleError(f"ONNX Runtime cannot load {path}: {error}") from error


def _num_threads() -> int:
    """Return as many threads as torch has here."""
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
