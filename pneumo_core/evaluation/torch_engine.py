"""A model that torch runs: on a GPU, or where there is no file for ONNX Runtime."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pneumo_core.arrays import Images
from pneumo_core.evaluation.hirescam import contributions
from pneumo_core.labels import POSITIVE
from pneumo_core.models import bundled_model
from pneumo_core.models.bundle import Blueprint, Normalisation
from pneumo_core.models.compute import choose_device, full_float32, to_batch
from pneumo_core.models.strategies import classifiers

GRADIENT_BATCH_SIZE = 4  # all activations of the network are kept for the gradient


@dataclass(frozen=True)
class TorchEngine:
    """An `engine.Engine`; it moves the model to the device that it chooses."""

    model: nn.Module
    normalisation: Normalisation

    @classmethod
    def load(cls, blueprint: Blueprint, weights: Path) -> "TorchEngine":
        """Raises BundleError where the weights do not fit the architecture."""
        return cls(bundled_model.build(blueprint, weights), blueprint.normalisation)

    def batch_size(self, size_px: int) -> int:
        return choose_device("float32").read_batch_size(size_px)

    def read(self, films: Images) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        device = choose_device("float32")
        model = device.place(self.model).eval()
        features: list[torch.Tensor] = []

        def keep(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            features.append(inputs[0].flatten(1))

        handle = classifiers(model)[0].register_forward_pre_hook(keep)
        with handle, torch.inference_mode(), full_float32():
            logits_BK = model(to_batch(films, self.normalisation, device))
        return logits_BK.float().cpu().numpy(), features[0].float().cpu().numpy()

    def evidence(self, films: Images) -> npt.NDArray[np.float32]:
        device = choose_device("float32")
        parts = [
            contributions(self.model, to_batch(part, self.normalisation, device), POSITIVE)
            for part in np.array_split(films, -(-len(films) // GRADIENT_BATCH_SIZE))
        ]
        return torch.cat(parts).cpu().numpy()

    def in_torch(self) -> "TorchEngine":
        return self
