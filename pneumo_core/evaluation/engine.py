"""What runs a model on films: ONNX Runtime on a processor, torch on a GPU.

Torch also runs what cannot be exported. A bundle with `model.onnx` needs no torch on a processor.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pneumo_core.arrays import Images
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.onnx_engine import OnnxEngine
from pneumo_core.models import bundle
from pneumo_core.models.bundle import Description, OnnxRecord
from pneumo_core.models.onnx_session import Floats32

if TYPE_CHECKING:
    from pneumo_core.evaluation.torch_engine import TorchEngine

CUDA_DRIVER = "libcuda.so.1"


class Engine(Protocol):
    """A model that runs, in float32; films are gray bytes [N, H, W] of its size."""

    def batch_size(self, size_px: int) -> int:
        """Return how many films of this side to give at a time."""

    def read(self, films: Images) -> tuple[Floats32, Floats32]:
        """Return the logits [N, K], and the features [N, F]: the input of the (first) classifier.

        What it gives for a film does not depend on the other films, but for rounding.
        """

    def evidence(self, films: Images) -> Floats32:
        """Return the evidence for pneumonia on the last map [N, h, w]; see `hirescam.py`.

        Raises:
            EvaluationError: the model has no spatial feature map.
        """

    def in_torch(self) -> "TorchEngine":
        """Return the same model in torch."""


def open_engine(folder: Path, description: Description) -> Engine:
    """Return the model of a bundle, whose files were checked.

    Raises:
        BundleError: as `choose_engine`.
        EvaluationError: only torch can read it, and is not installed.
    """

    def in_torch() -> "TorchEngine":
        try:
            from pneumo_core.evaluation.torch_engine import TorchEngine
        except ModuleNotFoundError as error:
            raise EvaluationError(
                f"{description.architecture} needs torch for this, which is not installed: "
                "pip install 'pneumo[train]'."
            ) from error
        return TorchEngine.load(description, folder / bundle.WEIGHTS)

    has_file = isinstance(description.onnx, OnnxRecord)
    return choose_engine(folder / bundle.ONNX if has_file else None, in_torch)


def choose_engine(onnx: Path | None, in_torch: Callable[[], "TorchEngine"]) -> Engine:
    """Return a model's engine on this machine.

    Args:
        onnx: its `model.onnx`; None: it cannot be exported.
        in_torch: loads it in torch.

    Raises:
        BundleError: ONNX Runtime or torch cannot load the model.
    """
    return in_torch() if onnx is None or _torch_has_gpu() else OnnxEngine(onnx, in_torch)


def _torch_has_gpu() -> bool:
    with suppress(OSError, ImportError):
        ctypes.CDLL(CUDA_DRIVER)  # where there is none, torch need not be loaded to say so
        import torch

        return bool(torch.cuda.is_available())
    return False
