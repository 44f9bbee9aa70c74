"""Figures of a film whose answer is plain."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pneumo_core.arrays import Gray
from pneumo_core.data.film_statistics import (
    MIN_GRAY_LEVELS,
    NAMES,
    film_statistics,
    num_gray_levels,
)


def test_film_statistics_by_hand() -> None:
    film = np.zeros((1, 32, 64), np.uint8)
    film[0, :, 32:] = 100
    found = dict(zip(NAMES, film_statistics(film)[0], strict=True))
    assert found["mean"] == found["std"] == found["border_top"] == 50
    assert (found["percentile_25"], found["percentile_75"]) == (0, 100)
    assert found["black_share"] == 0.5
    assert (found["corner_bottom_left"], found["corner_top_right"]) == (0, 100)
    assert found["border_right"] == 100
    assert found["sharpness"] == pytest.approx(100 / 63 / 2)


def test_gray_levels_by_hand() -> None:
    film = np.zeros((64, 64), np.uint8)
    assert num_gray_levels(film) == 1
    film[:, ::2] = 100
    assert num_gray_levels(film) == pytest.approx(2)
    film[:] = np.arange(64)
    assert num_gray_levels(film) == pytest.approx(32)  # the middle half


def _noise(spread: float) -> Gray:
    noise = np.random.default_rng(0).normal(120, spread, (224, 224))
    return noise.round().clip(0, 255).astype(np.uint8)


def _framed(film: Gray, width: int) -> Gray:
    framed = film.copy()
    framed[:width], framed[-width:], framed[:, :width], framed[:, -width:] = 0, 255, 0, 0
    return framed


@pytest.mark.parametrize(
    "pale",
    [
        lambda film: film // 26 + 120,
        lambda film: film // 64 * 64,  # four levels, far apart
        lambda film: np.maximum(film, 250),  # all but white
        lambda _: _noise(3),
    ],
    ids=["pale", "posterised", "white", "noise"],
)
@pytest.mark.parametrize("width", [1, 20, 80])
def test_a_film_without_contrast_has_few_levels_whatever_its_frame(
    film: Callable[..., Gray], pale: Callable[[Gray], Gray], width: int
) -> None:
    whole = film(1, 224, 224)
    assert num_gray_levels(_framed(whole, 40)) > MIN_GRAY_LEVELS
    assert num_gray_levels(_framed(pale(whole), width)) < MIN_GRAY_LEVELS


SHARED = Path(__file__).parents[4] / "shared/data"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["chest_xray_224.zip", "nih_cxr8_224.zip"])
@pytest.mark.parametrize("size_px", [28, 224])
def test_no_real_film_has_so_few_levels(name: str, size_px: int) -> None:
    if not (SHARED / name).is_file():
        pytest.skip(f"{name} is not here")
    archive = zipfile.ZipFile(SHARED / name)
    films = [path for path in archive.namelist() if path.endswith((".jpeg", ".png", ".jpg"))]
    for path in films:
        picture = Image.open(io.BytesIO(archive.read(path))).convert("L")
        pixels = np.asarray(picture.resize((size_px, size_px), Image.Resampling.BOX))
        assert num_gray_levels(pixels) > MIN_GRAY_LEVELS, path
    assert len(films) > 400
