"""Augmented training films: a pure function of (seed, pixels, copy number), balanced by class."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pneumo_core.arrays import Gray, Images, Stack
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages, packing
from pneumo_core.data.transforms import transform
from pneumo_core.errors import DataError
from pneumo_core.labels import LABELS
from pneumo_core.params import AugmentParams
from pneumo_core.preparation.recipes import chosen
from pneumo_core.progress import track
from pneumo_core.versions import PIXELS, method_sha256

CHUNK = 64  # copies that a worker makes at a time
CHUNKS_AHEAD = 8  # of the packing at most: a slow disk must not fill the memory


class Copy(NamedTuple):
    """A row of the plan, without what only people need."""

    label: str
    pixel_sha256: str
    packed_row: int
    number: int


def plan(table: pd.DataFrame, params: AugmentParams) -> pd.DataFrame:
    """Which copies are made: `image_id`, `label`, `pixel_sha256`, `packed_row`, `copy`.

    Each class gets `size_per_class` rows, its films used as evenly as possible; which films get
    one copy more follows from the seed and their pixels, not from their order.

    Raises:
        DataError: a class has no training film.
    """
    train = manifest.kept(table, "train")
    rows = []
    for label in LABELS:
        films = train[train["label"] == label]
        if films.empty:
            raise DataError(f"No {label} film is left in train: nothing can be augmented.")
        draw = films["pixel_sha256"].map(lambda sha: _digest(params.seed, sha, "order"))
        films = films.iloc[np.argsort(draw.to_numpy())]
        turn = np.arange(params.size_per_class)
        copies = films.iloc[turn % len(films)][
            ["image_id", "label", "pixel_sha256", "packed_row"]
        ].assign(copy=turn // len(films))
        rows.append(copies)
    return pd.concat(rows).sort_values(["label", "copy", "image_id"], ignore_index=True)


def copy_rows(copies: pd.DataFrame) -> list[Copy]:
    columns = ("label", "pixel_sha256", "packed_row", "copy")
    return list(map(Copy, *(copies[column].tolist() for column in columns)))


def make_copy(images: Stack, copy: Copy, params: AugmentParams) -> Gray:
    """The pixels of one planned copy, [H, W]; a view of `images` where nothing is altered."""
    recipe = chosen(params)
    pixels = np.asarray(images[copy.packed_row])
    if recipe.keeps_originals and copy.number == 0:
        return pixels
    seed = int(_digest(params.seed, copy.pixel_sha256, copy.number)[:16], 16)
    return transform(pixels, recipe.ranges[copy.label], np.random.default_rng(seed))


def augment(images: Stack, copies: pd.DataFrame, params: AugmentParams, out: Images) -> None:
    """Fills `out`, [len(copies), size, size], in the order of the plan."""
    rows = copy_rows(copies)

    def make(start: int) -> None:
        for index, row in enumerate(rows[start : start + CHUNK], start):
            out[index] = make_copy(images, row, params)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV works without the GIL
        starts = range(0, len(rows), CHUNK)
        for _ in track(pool.map(make, starts), "augment", len(starts), f"x{CHUNK} img"):
            pass


def pack_augmented(
    images: PackedImages, copies: pd.DataFrame, params: AugmentParams, folder: Path
) -> None:
    """Packs every planned copy into `folder`, in the plan's order; a copy there is kept."""
    method = method_sha256("preparation.augmentation", PIXELS)
    values = params.model_dump_json(exclude={"size_per_class"})
    rows = copy_rows(copies)

    def make(start: int) -> list[tuple[str, Gray | None]]:
        block = []
        for copy in rows[start : start + CHUNK]:
            key = _digest(copy.label, copy.pixel_sha256, copy.number)
            block.append((key, None if packer.knows(key) else make_copy(images, copy, params)))
        return block

    with (
        packing(folder, images.size_px, f"{method} {values} {images.rule}") as packer,
        ThreadPoolExecutor(os.cpu_count()) as pool,  # OpenCV works without the GIL
    ):
        starts = range(0, len(rows), CHUNK)
        turns = (
            starts[first : first + CHUNKS_AHEAD] for first in range(0, len(starts), CHUNKS_AHEAD)
        )
        blocks = (block for turn in turns for block in pool.map(make, turn))
        for block in track(blocks, "augment", len(starts), f"x{CHUNK} img"):
            for key, pixels in block:
                packer.add(key, pixels)


def _digest(*parts: object) -> str:
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()
