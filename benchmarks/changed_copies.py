"""Copies of a film as they turn up in archives: changed in one way each, saved as JPEG."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

SAVED_QUALITY = 95  # of every copy but those whose quality is the change
BORDER = 0.05  # of each side

Change = Callable[[Image.Image], Image.Image]


def resized(film: Image.Image, factor: float) -> Image.Image:
    width, height = film.size
    return film.resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)


def cropped(film: Image.Image, share: float) -> Image.Image:
    x, y = (round(side * share) for side in film.size)
    return film.crop((x, y, film.width - x, film.height - y))


def toned(film: Image.Image, gain: float, shift: float) -> Image.Image:
    """Contrast about the film's mean, then a shift in shares of the range; clipped."""
    values = np.asarray(film, np.float64)
    values = (values - values.mean()) * gain + values.mean() + shift * 255
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def painted_over(film: Image.Image) -> Image.Image:
    x, y = (round(side * BORDER) for side in film.size)
    painted = Image.new("L", film.size)
    painted.paste(cropped(film, BORDER), (x, y))
    return painted


def framed(film: Image.Image) -> Image.Image:
    x, y = (round(side * BORDER) for side in film.size)
    return ImageOps.expand(film, (x, y, x, y))


def lettered(film: Image.Image) -> Image.Image:
    marked = film.copy()
    size = max(min(film.size) // 15, 8)
    font, pen = ImageFont.load_default(size), ImageDraw.Draw(marked)
    pen.text((size, size), "R  PORTABLE", 255, font)
    pen.text((size, film.height - 2 * size), "2018-03-24  12:34", 255, font)
    return marked


CHANGES: dict[str, tuple[Change, int]] = {  # with the JPEG quality that the copy is saved at
    **{f"JPEG quality {q}": (lambda film: film, q) for q in (30, 50, 75, 95)},
    **{f"resized x {f}": (partial(resized, factor=f), SAVED_QUALITY) for f in (0.5, 0.75, 1.5)},
    **{
        f"{share:.1%} cropped, each side": (partial(cropped, share=share), SAVED_QUALITY)
        for share in (0.025, 0.05)
    },
    **{
        f"brightness {shift:+}": (partial(toned, gain=1, shift=shift), SAVED_QUALITY)
        for shift in (0.15, -0.15)
    },
    **{
        f"contrast x {gain}": (partial(toned, gain=gain, shift=0), SAVED_QUALITY)
        for gain in (0.7, 1.3)
    },
    **{
        f"rotated {angle:+} deg": (
            partial(Image.Image.rotate, angle=angle, resample=Image.Resampling.BICUBIC),
            SAVED_QUALITY,
        )
        for angle in (2, -2, 5, -5, 10, -10)
    },
    "flipped": (ImageOps.mirror, SAVED_QUALITY),
    "5 % painted black, each side": (painted_over, SAVED_QUALITY),
    "5 % black added, each side": (framed, SAVED_QUALITY),
    "burnt-in text": (lettered, SAVED_QUALITY),
}


def plant(originals: list[Path], change: Change, quality: int, folder: Path) -> list[Path]:
    folder.mkdir()
    copies = [folder / f"{path.stem}.jpeg" for path in originals]
    for path, copy in zip(originals, copies, strict=True):
        change(Image.open(path).convert("L")).save(copy, quality=quality)
    return copies
