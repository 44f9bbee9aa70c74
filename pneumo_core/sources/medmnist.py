"""PneumoniaMNIST: arrays of small squares in an `.npz`; each row becomes a PNG.

Rows have no names, so nothing is known about patients: every row counts as a patient of its own.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pneumo_core.arrays import Gray
from pneumo_core.errors import SourceError
from pneumo_core.labels import LABELS, SPLITS
from pneumo_core.sources import facts
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.download import fetch
from pneumo_core.sources.png import encode_png
from pneumo_core.sources.source import SourceFile


class MedmnistDescription(Description):
    kind: Literal["medmnist"]
    size_px: Literal[28, 64, 128, 224] = 224
    path: str | None = None  # of an `.npz` that is here already

    def source(self, opening: Opening) -> "MedmnistSource":
        given = None if self.path is None else opening.path(self.path)
        return MedmnistSource(self.size_px, opening.cache, given)


@dataclass(frozen=True)
class MedmnistSource:
    size_px: int
    cache: Path
    given: Path | None = None

    def files(self) -> list[SourceFile]:
        """Return the images; raise SourceError if the arrays cannot be fetched or read."""
        path = self.given or self._download()
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                files = [file for split in SPLITS for file in _rows(arrays, split)]
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
            raise SourceError(f"{path} is not an .npz of PneumoniaMNIST: {error}.") from error
        return sorted(files, key=lambda file: file.place)

    def _download(self) -> Path:
        data_set = facts.PNEUMONIAMNIST
        remote = data_set.files[self.size_px]
        try:
            return fetch(remote, self.cache / f"{data_set.handle}_{self.size_px}.npz")
        except OSError as error:
            raise SourceError(
                f"{data_set.name} did not come from {remote.url}: {error}\n"
                f"By hand: open {data_set.page}, download the .npz of {self.size_px} pixels, name "
                "it under `path:` in the description (sources/pneumoniamnist.yaml) and run again "
                "with --set ingest.source=sources/pneumoniamnist.yaml."
            ) from error


def _rows(arrays: "np.lib.npyio.NpzFile", split: str) -> list[SourceFile]:
    images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"].reshape(-1)
    if images.dtype != np.uint8 or images.ndim != 3 or len(images) != len(labels):
        raise ValueError(
            f"{split}_images is {images.dtype} {list(images.shape)} for {len(labels)} labels, "
            "expected one gray image of 8 bits for each label"
        )
    return [
        SourceFile(
            split,
            LABELS[int(label)],
            f"{split}-{row:05d}.png",
            pixels.nbytes,
            _reader(pixels),
            origin="medmnist",
            data_set=facts.PNEUMONIAMNIST,
        )
        for row, (pixels, label) in enumerate(zip(images, labels, strict=True))
    ]


def _reader(pixels: Gray) -> Callable[[], bytes]:
    return lambda: encode_png(pixels)
