"""Which changed copies of a film dedup finds, and how many of the pairs it reports are copies.

    python benchmarks/near_duplicates.py ZIP

For each kind of change: the real films of ZIP, at most 300 and one a patient, with one changed copy
of each, saved as JPEG. Recall is the share of the copies found; precision, the share of the
reported pairs that are a film and its own copy.
"""

import argparse
import io
import zipfile
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pneumo_core.arrays import Gray
from pneumo_core.data.images import decode, resize
from pneumo_core.params import DedupParams
from pneumo_core.preparation.duplicates import find_duplicates
from pneumo_core.preparation.fingerprint import pixel_sha256
from pneumo_core.sources.patients import kermany, unknown

MAX_PIXELS, SIZE_PX = 100_000_000, 224  # at which the pipeline compares films by default
NUM_FILMS = 300
BORDER = 0.05  # of each side

Look = tuple[bytes, dict[str, object], Gray]  # a film, what validate states of it, and its pixels


def resized(film: Image.Image, factor: float) -> Image.Image:
    width, height = film.size
    return film.resize((round(width * factor), round(height * factor)), Image.Resampling.BICUBIC)


def cropped(film: Image.Image, share: float) -> Image.Image:
    x, y = (round(side * share) for side in film.size)
    return film.crop((x, y, film.width - x, film.height - y))


def toned(film: Image.Image, gain: float = 1, shift: float = 0) -> Image.Image:
    """Contrast about the film's mean, then a shift in shares of the range; clipped."""
    values = np.asarray(film, np.float64)
    values = (values - values.mean()) * gain + values.mean() + shift * 255
    return Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))


def framed(film: Image.Image) -> Image.Image:
    x, y = (round(side * BORDER) for side in film.size)
    return ImageOps.expand(film, (x, y, x, y))


def painted_over(film: Image.Image) -> Image.Image:
    x, y = (round(side * BORDER) for side in film.size)
    painted = Image.new("L", film.size)
    painted.paste(cropped(film, BORDER), (x, y))
    return painted


def lettered(film: Image.Image) -> Image.Image:
    marked = film.copy()
    size = max(min(film.size) // 15, 8)
    font, pen = ImageFont.load_default(size), ImageDraw.Draw(marked)
    pen.text((size, size), "R  PORTABLE", 255, font)
    pen.text((size, film.height - 2 * size), "2018-03-24  12:34", 255, font)
    return marked


def rotated(film: Image.Image, angle: float) -> Image.Image:
    return film.rotate(angle, Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{f"resized x {f}": partial(resized, factor=f) for f in (0.5, 0.75, 1.5)},
    **{f"{s:.1%} cropped, each side": partial(cropped, share=s) for s in (0.025, 0.05)},
    **{f"brightness {s:+}": partial(toned, shift=s) for s in (0.15, -0.15)},
    **{f"contrast x {gain}": partial(toned, gain=gain) for gain in (0.7, 1.3)},
    **{f"rotated {a:+} deg": partial(rotated, angle=a) for a in (2, -2, 5, -5, 10, -10)},
    "flipped": ImageOps.mirror,
    "5 % painted black, each side": painted_over,
    "5 % black added, each side": framed,
    "burnt-in text": lettered,
}
QUALITIES = {f"JPEG quality {q}": q for q in (30, 50, 75, 95)}  # of the film itself; else 95


def choose_films(path: Path) -> list[bytes]:
    """Films as they are, in an order drawn by lot, one a patient, no two with the same pixels."""
    taken: dict[str, bytes] = {}  # by the hash of the pixels
    patients = set()
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpeg"))
        for name in map(str, np.random.default_rng(0).permutation(names)):
            group = (kermany(name) or unknown(name)).group
            if len(taken) < NUM_FILMS and group not in patients:
                patients.add(group)
                data = archive.read(name)
                taken.setdefault(pixel_sha256(decode(data, MAX_PIXELS).pixels), data)
    return list(taken.values())


def look_at(data: bytes) -> Look:
    film = decode(data, MAX_PIXELS, size_px=SIZE_PX)
    found = {"width_px": film.width_px, "height_px": film.height_px}
    return data, found | {"pixel_sha256": pixel_sha256(film.pixels)}, resize(film.pixels, SIZE_PX)


def copy_of(data: bytes, name: str) -> bytes:
    buffer, film = io.BytesIO(), Image.open(io.BytesIO(data)).convert("L")
    changed = CHANGES[name](film) if name in CHANGES else film
    changed.save(buffer, "JPEG", quality=QUALITIES.get(name, 95))
    return buffer.getvalue()


def find_pairs(looks: list[Look]) -> set[tuple[int, ...]]:
    """What dedup finds among the films as validate packs them."""
    rows = range(len(looks))
    table = pd.DataFrame([found for _, found, _ in looks])
    table = table.assign(image_id=list(map(str, rows)), path=list(map(str, rows)), packed_row=rows)
    table = table.assign(split="train", label="NORMAL", state="kept")
    images = np.stack([film for *_, film in looks])
    found = find_duplicates(table, images, lambda path: looks[int(path)][0], DedupParams())
    groups = (sorted(map(int, group)) for group in found.exact + found.near)
    return {pair for group in groups for pair in combinations(group, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    films = [look_at(data) for data in choose_films(parser.parse_args().zip)]
    print(f"{len(films)} films, {len(find_pairs(films))} pairs among them as they are")
    print("| change | recall | precision |\n| --- | --: | --: |")
    planted = {(number, number + len(films)) for number in range(len(films))}
    for name in [*QUALITIES, *CHANGES]:
        found = find_pairs(films + [look_at(copy_of(data, name)) for data, *_ in films])
        recall, precision = (len(found & planted) / max(len(of), 1) for of in (planted, found))
        print(f"| {name} | {recall:.3f} | {precision:.3f} |", flush=True)


if __name__ == "__main__":
    main()
