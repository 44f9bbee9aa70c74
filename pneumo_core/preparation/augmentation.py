"""Augmented training films, balanced by class: a pure function of (seed, pixels, number)."""

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

CHUNK = 64  # films that a worker makes at a time
CHUNKS_AHEAD = 8  # of the packing at most: a slow disk must not fill the memory


class AugmentedFilm(NamedTuple):
    """A row of the plan, without the image id, which is for people."""

    label: str
    pixel_sha256: str
    packed_row: int
    number: int  # from 0, among those that are made of one film


def plan(table: pd.DataFrame, params: AugmentParams) -> pd.DataFrame:
    """Return the augmented films to make: `image_id` and the fields of `AugmentedFilm`.

    Each class gets `size_per_class` rows, its films used as evenly as possible. Which films are
    used once more than others follows from the seed and their pixels, not from their order.

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
        used = films.iloc[turn % len(films)][["image_id", "label", "pixel_sha256", "packed_row"]]
        rows.append(used.assign(number=turn // len(films)))
    planned = pd.concat(rows).rename_axis("row")  # of the manifest, whose order the plan keeps
    return planned.sort_values(["label", "number", "row"], ignore_index=True)


def planned_films(plan: pd.DataFrame) -> list[AugmentedFilm]:
    columns = (plan[column].tolist() for column in AugmentedFilm._fields)
    return list(map(AugmentedFilm, *columns))


def make_film(images: Stack, film: AugmentedFilm, params: AugmentParams) -> Gray:
    """Return the pixels of one planned film, [H, W]; a view of `images` where nothing changes."""
    recipe = chosen(params)
    pixels = np.asarray(images[film.packed_row])
    if recipe.keeps_originals and film.number == 0:
        return pixels
    seed = int(_digest(params.seed, film.pixel_sha256, film.number)[:16], 16)
    return transform(pixels, recipe.ranges[film.label], np.random.default_rng(seed))


def augment(images: Stack, plan: pd.DataFrame, params: AugmentParams, out: Images) -> None:
    """Fill `out`, [len(plan), size, size], in the order of the plan."""
    films = planned_films(plan)

    def make(start: int) -> None:
        for index, film in enumerate(films[start : start + CHUNK], start):
            out[index] = make_film(images, film, params)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # OpenCV works without the GIL
        starts = range(0, len(films), CHUNK)
        for _ in track(pool.map(make, starts), "augment", len(starts), f"x{CHUNK} img"):
            pass


def pack_augmented(
    images: PackedImages, plan: pd.DataFrame, params: AugmentParams, folder: Path
) -> None:
    """Pack every planned film into `folder`, in the plan's order; a film already there is kept."""
    method = method_sha256("preparation.augmentation", PIXELS)
    values = params.model_dump_json(exclude={"size_per_class"})
    films = planned_films(plan)

    def make(start: int) -> list[tuple[str, Gray | None]]:
        block = []
        for film in films[start : start + CHUNK]:
            key = packed_key(film.label, film.pixel_sha256, film.number)
            block.append((key, None if packer.knows(key) else make_film(images, film, params)))
        return block

    with (
        packing(folder, images.size_px, f"{method} {values} {images.rule}") as packer,
        ThreadPoolExecutor(os.cpu_count()) as pool,  # OpenCV works without the GIL
    ):
        starts = range(0, len(films), CHUNK)
        turns = (
            starts[first : first + CHUNKS_AHEAD] for first in range(0, len(starts), CHUNKS_AHEAD)
        )
        blocks = (block for turn in turns for block in pool.map(make, turn))
        for block in track(blocks, "augment", len(starts), f"x{CHUNK} img"):
            for key, pixels in block:
                packer.add(key, pixels)


def packed_key(label: str, pixel_sha256: str, number: int) -> str:
    """Return the name of an augmented film in the index of the packed ones."""
    return _digest(label, pixel_sha256, number)


def _digest(*parts: object) -> str:
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()
