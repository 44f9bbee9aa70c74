"""A model that ONNX Runtime runs, from the `model.onnx` of a bundle."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo_core.arrays import Images
from pneumo_core.errors import EvaluationError
from pneumo_core.models.onnx_session import Floats32, open_session, run

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

    def read(self, films: Images) -> tuple[Floats32, Floats32]:
        logits, features = run(self._session, [LOGITS, FEATURES], films)
        return logits, features

    def evidence(self, films: Images) -> Floats32:
        if FEATURE_MAP not in self._names:
            raise EvaluationError(
                "The model does not end in a map of the film. Saliency needs a convolutional "
                "network."
            )
        if EVIDENCE not in self._names:
            return self.in_torch().evidence(films)
        (evidence_NHW,) = run(self._session, [EVIDENCE], films)
        return evidence_NHW
