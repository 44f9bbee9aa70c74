"""Features of films: a frozen trunk, which ONNX Runtime runs on a processor and torch on a GPU.

Torch also runs what cannot be exported.
"""

import logging
import tempfile
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pneumo_core.models import onnx_file, onnx_session
from pneumo_core.models.architectures import first_fault
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import Device, channels_last, to_input
from pneumo_core.models.strategies import Trunk

ROWS, FEATURES = "rows", "features"  # the input and the output of the file
TOLERANCE = 1e-4  # of the largest feature, between ONNX Runtime and torch
SLOWER = "torch runs the frozen layers, more slowly than ONNX Runtime would: %s"

logger = logging.getLogger(__name__)


class Extractor:
    """A trunk with what runs it.

    Args:
        example: rows of the size that it will be given, which the exported graph fixes: gray bytes
            [N, H, W], or features [N, ...].
        normalisation: of films; None: the rows are the features of an earlier trunk.
    """

    def __init__(
        self,
        trunk: Trunk,
        device: Device,
        example: torch.Tensor,
        normalisation: Normalisation | None = None,
    ) -> None:
        self.trunk, self.normalisation, self.device = trunk, normalisation, device
        self._network, self._example = _Network(trunk, normalisation), example

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the features of these rows, on the device and in its precision."""
        if self.device.is_cuda or self._session is None:
            return self.in_torch(rows)
        (features,) = onnx_session.run(self._session, [FEATURES], rows.numpy())
        return torch.from_numpy(features)

    def in_torch(self, rows: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), self.device.autocast():
            features: torch.Tensor = self._network(rows.to(self.device.torch_device))
        return features

    @cached_property
    def _session(self) -> Any | None:
        """Return None where the trunk cannot be exported, or would give other features."""
        expected = self.in_torch(self._example)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trunk.onnx"
            try:
                onnx_file.write(self._network, self._example[:1], ROWS, [FEATURES], path)
                session = onnx_session.open_session(path)
                (found,) = onnx_session.run(session, [FEATURES], self._example.numpy())
            except Exception as error:  # torch and ONNX Runtime raise their own, unrelated kinds
                logger.warning(SLOWER, first_fault(error))
                return None
        difference = float((torch.from_numpy(found) - expected).abs().max() / expected.abs().max())
        if difference <= TOLERANCE:
            return session
        logger.warning(SLOWER, f"its features differ from torch's by {difference:.2g}")
        return None


class _Network(nn.Module):
    def __init__(self, trunk: Trunk, normalisation: Normalisation | None) -> None:
        super().__init__()
        self.trunk, self._normalisation = trunk, normalisation
        self.eval()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        normalisation = self._normalisation
        x = channels_last(rows) if normalisation is None else to_input(rows, normalisation)
        features: torch.Tensor = self.trunk(x)
        return features
