"""Augmented training films: a pure function of (seed, pixels, copy number), balanced by class.

No flips: a mirrored heart is another finding (dextrocardia), and the side marker turns with it.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from pneumo_core import manifest
from pneumo_core.errors import DataError
from pneumo_core.images import Gray, Images
from pneumo_core.params import AugmentParams
from pneumo_core.progress import track


@dataclass(frozen=True)
class Ranges:
    """What is drawn uniformly for one augmented film."""

    brightness: tuple[float, float] = (0.0, 0.0)  # added, as a part of full scale
    contrast: tuple[float, float] = (1.0, 1.0)  # factor about the film's mean
    rotation_deg: tuple[float, float] = (0.0, 0.0)
    crop_area: tuple[float, float] = (1.0, 1.0)  # part of the film that fills the frame
    crop_aspect: tuple[float, float] = (1.0, 1.0)  # its width to height, drawn on a log scale


@dataclass(frozen=True)
class Recipe:
    ranges: dict[str, Ranges]  # by label
    keeps_originals: bool  # copy 0 of each film is the film itself


_SYMMETRIC = Ranges(
    brightness=(-0.15, 0.15),
    contrast=(0.7, 1.3),
    rotation_deg=(-10, 10),
    crop_area=(0.3, 1.0),
    crop_aspect=(3 / 4, 4 / 3),
)

RECIPES: dict[str, Recipe] = {
    # The study's section 2.3. Its brightness is a function of the label: a shortcut to be
    # measured, not a recommendation. Originals stay, so one class holds more altered films.
    "study": Recipe(
        {
            "NORMAL": Ranges(brightness=(0.05, 0.15), rotation_deg=(-10, 10)),
            "PNEUMONIA": Ranges(brightness=(-0.15, -0.05), rotation_deg=(-10, 10)),
        },
        keeps_originals=True,
    ),
    # The same ranges for both classes, and no film left unaltered, so that neither the transform
    # nor its presence tells the label.
    "symmetric": Recipe(
        {"NORMAL": _SYMMETRIC, "PNEUMONIA": _SYMMETRIC},
        keeps_originals=False,
    ),
}


def plan(table: pd.DataFrame, params: AugmentParams) -> pd.DataFrame:
    """Which copies are made: `image_id`, `label`, `pixel_sha256`, `packed_row`, `copy`.

    Each class gets `size_per_class` rows, its films used as evenly as possible; which films get
    one copy more follows from the seed and their pixels, not from their order.

    Raises:
        DataError: a class has no training film.
    """
    train = manifest.kept(table, "train")
    rows = []
    for label in manifest.LABELS:
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
    return pd.concat(rows).sort_values(["image_id", "copy"], ignore_index=True)


def augment(images: Images, copies: pd.DataFrame, params: AugmentParams, out: Images) -> None:
    """Fills `out`, [len(copies), size, size], in the order of the plan."""
    recipe = RECIPES[params.recipe]

    def make(index: int) -> None:
        copy = copies.iloc[index]
        pixels = images[copy["packed_row"]]
        if not (recipe.keeps_originals and copy["copy"] == 0):
            rng = np.random.default_rng(_seed(params.seed, copy["pixel_sha256"], copy["copy"]))
            pixels = transform(pixels, recipe.ranges[copy["label"]], rng)
        out[index] = pixels

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow transforms without the GIL
        for _ in track(pool.map(make, range(len(copies))), "augment", total=len(copies)):
            pass


def transform(pixels: Gray, ranges: Ranges, rng: np.random.Generator) -> Gray:
    """One film, [H, W], with everything drawn from `ranges`; what lies outside it is black."""
    brightness = rng.uniform(*ranges.brightness)
    contrast = rng.uniform(*ranges.contrast)
    angle = np.deg2rad(rng.uniform(*ranges.rotation_deg))
    area = rng.uniform(*ranges.crop_area)
    aspect = np.exp(rng.uniform(*np.log(ranges.crop_aspect)))
    place_x, place_y = rng.uniform(size=2)

    height, width = pixels.shape
    scale_x, scale_y = min(1.0, np.sqrt(area * aspect)), min(1.0, np.sqrt(area / aspect))
    centre_x = width * (scale_x / 2 + place_x * (1 - scale_x))
    centre_y = height * (scale_y / 2 + place_y * (1 - scale_y))
    cos, sin = np.cos(angle), np.sin(angle)
    a, b, d, e = scale_x * cos, -scale_y * sin, scale_x * sin, scale_y * cos
    c = centre_x - a * width / 2 - b * height / 2
    f = centre_y - d * width / 2 - e * height / 2

    mean = pixels.mean()
    levels = (np.arange(256) - mean) * contrast + mean + 255 * brightness
    table: Gray = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    moved = Image.fromarray(pixels).transform(
        (width, height),
        Image.Transform.AFFINE,
        (a, b, c, d, e, f),
        Image.Resampling.BILINEAR,
    )
    result: Gray = table[np.asarray(moved)]
    return result


def _digest(*parts: object) -> str:
    return hashlib.sha256(":".join(map(str, parts)).encode()).hexdigest()


def _seed(*parts: object) -> int:
    return int(_digest(*parts)[:16], 16)
