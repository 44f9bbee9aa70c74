"""Features at the cut, computed once for a fixed set of images and kept on disk.

What is frozen gives the same features in every epoch, in every cell that shares it, and in the
next run: the key has the content of images and weights, the architecture, the code and the versions
of libraries, so nothing stale is ever found.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pneumo_core.arrays import Images, Stack
from pneumo_core.atomic import replacing_file
from pneumo_core.data.images import content_sha256
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import Device, channels_last, to_batch
from pneumo_core.models.strategies import Trunk
from pneumo_core.models.weights import state_sha256
from pneumo_core.params import TrainParams
from pneumo_core.progress import track
from pneumo_core.versions import LEARNING, method_sha256


@dataclass(frozen=True)
class FeatureCache:
    folder: Path
    max_bytes: int

    @classmethod
    def below(cls, scratch: Path, params: TrainParams) -> "FeatureCache":
        """Return the cache that trainings in this folder share."""
        return cls(scratch / "features", int(params.feature_cache_gb * 1e9))

    def get(
        self,
        trunk: Trunk,
        images: Stack,
        normalisation: Normalisation,
        device: Device,
        halves: tuple[Trunk, Trunk] | None = None,
    ) -> torch.Tensor:
        """Return features [N, ...] of images [N, H, W] in the device's precision, from disk.

        Args:
            halves: the same trunk as two in a row, where the features between them are of use to
                another cell: they are kept, too.
        """
        example = _features(trunk, images[:1], normalisation, device)
        path = self.folder / f"{_key(trunk, images, normalisation, device)}.bin"
        num_values = len(images) * example.numel()
        if not path.is_file():
            between = self.get(halves[0], images, normalisation, device) if halves else None
            self._make_room(num_values * example.element_size())
            size = device.read_batch_size(images.shape[-1])
            with replacing_file(path) as draft, draft.open("wb") as file:
                for start in track(range(0, len(images), size), "features", unit="batch"):
                    rows = slice(start, start + size)
                    if halves and between is not None:
                        batch = _further(halves[1], between[rows], device)
                    else:
                        batch = _features(trunk, images[rows], normalisation, device)
                    file.write(
                        batch.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
                    )
        os.utime(path)  # the least recently used file goes first
        flat = torch.from_file(str(path), shared=False, size=num_values, dtype=example.dtype)
        return flat.view(len(images), *example.shape[1:])

    def _make_room(self, num_bytes: int) -> None:
        files = sorted(self.folder.glob("*.bin"), key=lambda path: path.stat().st_mtime)
        total = sum(path.stat().st_size for path in files)
        for path in files:
            if total + num_bytes <= self.max_bytes:
                break
            total -= path.stat().st_size
            path.unlink(missing_ok=True)


def _features(
    trunk: Trunk, images: Images, normalisation: Normalisation, device: Device
) -> torch.Tensor:
    with torch.inference_mode(), device.autocast():
        features: torch.Tensor = trunk(to_batch(images, normalisation, device))
        return features


def _further(rest: Trunk, features: torch.Tensor, device: Device) -> torch.Tensor:
    with torch.inference_mode(), device.autocast():
        further: torch.Tensor = rest(channels_last(device.send(features)))
        return further


def _key(trunk: Trunk, images: Stack, normalisation: Normalisation, device: Device) -> str:
    """Return the key of images, of the network that sees them, and of how it computes.

    Two architectures may have tensors of the same names and shapes, so their names are in it, and
    their layers, whose settings may change from one version of timm to the next.
    """
    config: Any = trunk.model.pretrained_cfg
    network = (config["architecture"], repr(trunk), state_sha256(trunk))
    rules = (images.shape, normalisation, device.precision, trunk.cut_name)
    method = method_sha256("training.features", LEARNING)
    content = repr((content_sha256(images), network, rules, method))
    return hashlib.sha256(content.encode()).hexdigest()
