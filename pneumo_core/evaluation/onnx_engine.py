"""A model that ONNX Runtime runs, from the `model.onnx` of a bundle."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from pneumo_core.arrays import Images
from pneumo_core.errors import BundleError, EvaluationError

if TYPE_CHECKING:
    from pneumo_core.evaluation.torch_engine import TorchEngine

FILMS = "films"  # the input: gray bytes [N, H, W]
LOGITS, FEATURES = "logits", "features"  # [N, K]; [N, F], the input of the classifier
FEATURE_MAP = "feature_map"  # [N, C, h, w], the last map of the film
EVIDENCE = "evidence"  # [N, h, w], for pneumonia
OUTPUTS = (LOGITS, FEATURES, FEATURE_MAP, EVIDENCE)  # the last two where the model has them

MAX_PIXELS = 8 * 224**2  # whose outputs are held at a time


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
        """Run one film at a time, which is the fastest and takes the least memory."""
        found = [self._session.run(names, {FILMS: film[np.newaxis]}) for film in films]
        return [np.concatenate(each) for each in zip(*found, strict=True)]


def open_session(path: Path) -> Any:
    """Return a session with as many threads as torch has here; raise BundleError if it fails."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _num_threads()
    # Threads that wait for work sleep: others share the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises its own, unrelated kinds
        raise BundleError(f"ONNX Runtime cannot load {path}: {error}") from error


def _num_threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
