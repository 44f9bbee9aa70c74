"""Augmented copies: this project's way against a Pillow loop that writes a JPEG for each.

    python benchmarks/augment.py [--films N] [--size PX]

All make the same number of copies of drawn films within the ranges of `symmetric` and leave them
on disk: ours as one packed array, Pillow as files, in a plain loop and in as many threads as ours.
They take turns, the medians of three are printed.
"""

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from pneumo_core.arrays import Gray, Images
from pneumo_core.params import AugmentParams
from pneumo_core.preparation.augmentation import augment, plan
from pneumo_core.preparation.recipes import RECIPES

NUM_SOURCES, NUM_PAIRS = 400, 3
RANGES = RECIPES["symmetric"].ranges["NORMAL"]


def drawn_films(count: int, size_px: int) -> Images:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 24, 24), dtype=np.uint8)
    size = (size_px, size_px)
    films = [Image.fromarray(each).resize(size, Image.Resampling.BICUBIC) for each in coarse]
    return np.stack([np.asarray(film) for film in films])


def ours(films: Images, count: int, folder: Path) -> None:
    rows = [
        {
            "image_id": f"{label}/{row}",
            "label": label,
            "split": "train",
            "state": "kept",
            "pixel_sha256": hashlib.sha256(films[row]).hexdigest(),
            "packed_row": row,
        }
        for row, label in enumerate(["NORMAL", "PNEUMONIA"] * (len(films) // 2))
    ]
    params = AugmentParams(seed=0, recipe="symmetric", size_per_class=count // 2)
    copies = plan(pd.DataFrame(rows), params)
    shape = (len(copies), *films.shape[1:])
    out = np.lib.format.open_memmap(folder / "copies.npy", "w+", np.uint8, shape)
    augment(films, copies, params, out)
    out.flush()


def pillow(films: Images, count: int, folder: Path, num_workers: int) -> None:
    def make(index: int) -> None:
        _pillow_copy(films[index % len(films)], index).save(folder / f"{index}.jpeg")

    if num_workers == 1:
        for index in range(count):
            make(index)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        list(pool.map(make, range(count)))


def _pillow_copy(pixels: Gray, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    film = Image.fromarray(pixels)
    width, height = film.size
    film = ImageEnhance.Brightness(film).enhance(1 + rng.uniform(*RANGES.brightness))
    film = ImageEnhance.Contrast(film).enhance(rng.uniform(*RANGES.contrast))
    film = film.rotate(rng.uniform(*RANGES.rotation_deg), Image.Resampling.BILINEAR)
    area = rng.uniform(*RANGES.crop_area)
    aspect = np.exp(rng.uniform(*np.log(RANGES.crop_aspect)))
    part_x, part_y = min(1.0, np.sqrt(area * aspect)), min(1.0, np.sqrt(area / aspect))
    left, top = rng.uniform(0, 1 - part_x) * width, rng.uniform(0, 1 - part_y) * height
    box = (left, top, left + part_x * width, top + part_y * height)
    return film.resize((width, height), Image.Resampling.BILINEAR, box)


def seconds(way: Callable[[Path], None]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        way(Path(folder))
        os.sync()
        return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--films", type=int, default=11_700)
    parser.add_argument("--size", type=int, default=224)
    asked = parser.parse_args()
    films = drawn_films(NUM_SOURCES, asked.size)
    cores = os.cpu_count() or 1
    ways = {
        "pneumo": partial(ours, films, asked.films),
        "Pillow and JPEG, a loop": partial(pillow, films, asked.films, num_workers=1),
        f"Pillow and JPEG, {cores} threads": partial(pillow, films, asked.films, num_workers=cores),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(NUM_PAIRS):
        for name, way in ways.items():
            taken[name].append(seconds(way))
    best = statistics.median(taken["pneumo"])
    print(f"{asked.films} copies at {asked.size} px, {cores} cores, median of {NUM_PAIRS}")
    print(f"{'way':28} {'s':>8} {'ms an image':>12} {'times pneumo':>13}")
    for name, runs in taken.items():
        middle = statistics.median(runs)
        print(f"{name:28} {middle:8.2f} {1e3 * middle / asked.films:12.3f} {middle / best:13.1f}")


if __name__ == "__main__":
    main()
