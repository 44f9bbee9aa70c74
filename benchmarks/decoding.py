"""Originals to packed gray squares, and to fingerprints, against libjpeg-turbo and imagededup.

    python benchmarks/decoding.py --images FOLDER_OR_ZIP [--copies 5] [--imagededup PYTHON]

Every side reads the same files from disk on all cores, best of three. `libjpeg-turbo` decodes to
gray at the DCT scale that Pillow's `draft` finds for the size, and does nothing else. imagededup is
no dependency: PYTHON is the interpreter of an environment of its own that has it.
"""

import argparse
import hashlib
import io
import os
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pneumo_core.data import manifest
from pneumo_core.data.images import decode
from pneumo_core.params import ValidateParams
from pneumo_core.preparation.fingerprint import THUMBNAIL_SIDE_PX, perceptual_hashes, thumbnail
from pneumo_core.preparation.inventory import take_inventory

MAX_PIXELS = 100_000_000
SIZE_PX = 512
IMAGEDEDUP = """
import sys, time, warnings
from imagededup.methods import PHash
warnings.simplefilter("ignore")
begun = time.perf_counter()
PHash(verbose=False).encode_images(image_dir=sys.argv[1])
print(time.perf_counter() - begun)
"""


def lay_out(images: Path, copies: int, folder: Path) -> list[Path]:
    """The JPEGs of a folder or zip, each under `copies` names."""
    if images.is_dir():
        found = [path.read_bytes() for path in sorted(images.rglob("*.jp*g"))]
    else:
        archive = zipfile.ZipFile(images)
        found = [archive.read(name) for name in archive.namelist() if name.endswith("jpeg")]
    paths = [folder / f"{copy}-{i:05}.jpeg" for copy in range(copies) for i in range(len(found))]
    for i, path in enumerate(paths):
        path.write_bytes(found[i % len(found)])
    return paths


def best(do: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        do()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def on_all_cores(work: Callable[[int, Path], object], paths: list[Path]) -> Callable[[], object]:
    def do() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(work, range(len(paths)), paths):
                pass

    return do


def only_decode(_: int, path: Path) -> None:
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.draft("L", (SIZE_PX, SIZE_PX))
    image.load()


def fingerprint(_: int, path: Path) -> tuple[str, bytes]:
    data = path.read_bytes()
    pixels = decode(data, MAX_PIXELS, size_px=THUMBNAIL_SIDE_PX).pixels
    return hashlib.sha256(data).hexdigest(), perceptual_hashes(thumbnail(pixels)[None])[0].tobytes()


def inventory(paths: list[Path], size_px: int) -> None:
    names = list(map(str, paths))
    table = pd.DataFrame({"image_id": names, "path": names}).assign(
        **dict.fromkeys(("origin", "split", "source_split", "label"), "train"),
        **dict.fromkeys(("patient_key", "patient_group", "patient_rule"), "one"),
        state=manifest.KEPT,
        file_bytes=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        limits = ValidateParams(image_size_px=size_px)
        take_inventory(
            manifest.conform(table), lambda path: Path(path).read_bytes(), limits, Path(folder)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, metavar="FOLDER_OR_ZIP")
    parser.add_argument("--copies", type=int, default=5)
    parser.add_argument("--imagededup", metavar="PYTHON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        paths = lay_out(asked.images, asked.copies, Path(scratch))
        packed = np.empty((len(paths), SIZE_PX, SIZE_PX), np.uint8)

        def pack(row: int, path: Path) -> None:
            film = decode(path.read_bytes(), MAX_PIXELS, size_px=SIZE_PX)
            packed[row] = film.squared(SIZE_PX)

        seconds = {
            f"libjpeg-turbo decodes for {SIZE_PX} px": best(on_all_cores(only_decode, paths)),
            f"pneumo decodes and resizes to {SIZE_PX} px": best(on_all_cores(pack, paths)),
            "pneumo fingerprints (file and picture)": best(on_all_cores(fingerprint, paths)),
            "pneumo's whole stage at 224 px": best(lambda: inventory(paths, 224)),
        }
        if asked.imagededup:
            command = [asked.imagededup, "-c", IMAGEDEDUP, scratch]
            runs = [
                subprocess.run(
                    command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
                )
                for _ in range(3)
            ]
            seconds["imagededup PHash, its defaults"] = min(float(run.stdout) for run in runs)
    print(f"{len(paths)} files, {os.cpu_count()} cores\n\n| what | images/s | ms an image |")
    print("| --- | --: | --: |")
    for what, each in seconds.items():
        print(f"| {what} | {len(paths) / each:.0f} | {each / len(paths) * 1e3:.2f} |")


if __name__ == "__main__":
    main()
