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

from pneumo_core.arrays import Stack
from pneumo_core.atomic import replacing_file
from pneumo_core.data.images import content_sha256
from pneumo_core.models.weights import state_sha256
from pneumo_core.params import TrainParams
from pneumo_core.progress import track
from pneumo_core.training.extractor import Extractor
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
        extractor: Extractor,
        images: Stack,
        halves: tuple[Extractor, Extractor] | None = None,
    ) -> torch.Tensor:
        """Return features [N, ...] of images [N, H, W] in the device's precision, from disk.

        Args:
            halves: the same trunk as two in a row, where the features between them are of use to
                another cell: they are kept, too.
        """
        example = extractor.in_torch(torch.as_tensor(images[:1]))
        path = self.folder / f"{_key(extractor, images)}.bin"
        num_values = len(images) * example.numel()
        if not path.is_file():
            source: Stack | torch.Tensor = images
            if halves:
                extractor, source = halves[1], self.get(halves[0], images)
            self._make_room(num_values * example.element_size())
            size = extractor.device.read_batch_size(images.shape[-1])
            with replacing_file(path) as draft, draft.open("wb") as file:
                for start in track(range(0, len(images), size), "features", unit="batch"):
                    batch = extractor(torch.as_tensor(source[start : start + size]))
                    flat = batch.cpu().contiguous().flatten()
                    file.write(flat.view(torch.uint8).numpy().tobytes())
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


def _key(extractor: Extractor, images: Stack) -> str:
    """Return the key of images, of the network that sees them, and of how it computes.

    Two architectures may have tensors of the same names and shapes, so their names are in it, and
    their layers, whose settings may change from one version of timm to the next.
    """
    trunk = extractor.trunk
    config: Any = trunk.model.pretrained_cfg
    network = (config["architecture"], repr(trunk), state_sha256(trunk))
    rules = (images.shape, extractor.normalisation, extractor.device.precision, trunk.cut_name)
    method = method_sha256("training.features", LEARNING)
    content = repr((content_sha256(images), network, rules, method))
    return hashlib.sha256(content.encode()).hexdigest()
