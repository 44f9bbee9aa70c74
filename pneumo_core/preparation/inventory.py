"""Decode, measure, fingerprint and pack every file of the source, once.

The findings of a file are kept with the packed films, by the SHA-256 of its bytes. A file that is
still there is not decoded again, as long as code and limits are the same.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import pandas as pd

from pneumo_core.arrays import Gray
from pneumo_core.data import manifest
from pneumo_core.data.film_statistics import MIN_GRAY_LEVELS, num_gray_levels
from pneumo_core.data.images import decode
from pneumo_core.data.packed import PackedImages, Packer, packing
from pneumo_core.errors import ImageError
from pneumo_core.params import ValidateParams
from pneumo_core.preparation.fingerprint import perceptual_hashes, pixel_sha256, thumbnail
from pneumo_core.progress import track
from pneumo_core.versions import PIXELS, method_sha256

NO_CONTRAST = "almost no contrast"
BLOCK_FILMS = 512  # decoded ahead of the packing at most

Finding = dict[str, Any]  # columns of the manifest


def take_inventory(
    table: pd.DataFrame, read: Callable[[str], bytes], params: ValidateParams, folder: Path
) -> tuple[pd.DataFrame, PackedImages]:
    """Return the manifest with the columns from the pixels, and its kept films, packed in order.

    A file that cannot be decoded or has almost no contrast is quarantined with its reason.

    Args:
        read: returns the bytes of a file by its `path`.
        folder: where the packed films go; those of an earlier run are used again.
    """
    kept = manifest.kept(table)
    findings: list[Finding] = []
    num_packed = 0
    with (
        packing(folder, params.image_size_px, _rule(params)) as packer,
        ThreadPoolExecutor(os.cpu_count()) as pool,  # Pillow decodes without the GIL
    ):

        def look(file: tuple[str, str]) -> tuple[Finding, Gray | None]:
            return _look(*file, read, params, packer)

        files = list(zip(kept["path"], kept["sha256"], strict=True))
        blocks = (files[start : start + BLOCK_FILMS] for start in range(0, len(files), BLOCK_FILMS))
        looks = (found for block in blocks for found in pool.map(look, block))
        for finding, pixels in track(looks, "validate", total=len(files)):
            if "state" not in finding:
                packer.add(finding["sha256"], pixels, finding)
                finding = finding | {"packed_row": num_packed}
                num_packed += 1
            findings.append(finding)
    looked = pd.DataFrame(findings, index=kept.index).astype(object).combine_first(table)
    looked = manifest.conform(looked)
    manifest.check_counting_law(table, looked)
    return looked, PackedImages.open(folder)


def _rule(params: ValidateParams) -> str:
    """Return all that determines a finding, except the bytes of the file."""
    method = method_sha256("preparation.inventory", PIXELS)
    return f"{method} {params.model_dump_json(exclude={'max_quarantined_fraction'})}"


def _look(
    path: str,
    sha256: str | None,
    read: Callable[[str], bytes],
    params: ValidateParams,
    packer: Packer,
) -> tuple[Finding, Gray | None]:
    if isinstance(sha256, str) and packer.knows(sha256):
        return packer.note_of(sha256), None
    try:
        data = read(path)
    except OSError as error:
        return {"state": manifest.QUARANTINED, "reason": str(error)}, None
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        film = decode(data, params.max_pixels, params.min_side_px, params.image_size_px)
    except ImageError as error:
        return _quarantined(sha256, str(error)), None
    packed = film.squared(params.image_size_px)
    if num_gray_levels(packed) < MIN_GRAY_LEVELS:
        return _quarantined(sha256, NO_CONTRAST), None
    mean, std = cv2.meanStdDev(film.pixels)
    finding = {
        "sha256": sha256,
        "pixel_sha256": pixel_sha256(film.pixels),
        "perceptual_hash": perceptual_hashes(thumbnail(packed)[None])[0].tobytes().hex(),
        "width_px": film.width_px,
        "height_px": film.height_px,
        "colour_mode": film.colour_mode,
        "jpeg_quality": film.jpeg_quality,
        "mean": float(mean[0, 0]),
        "std": float(std[0, 0]),
    }
    return finding, packed


def _quarantined(sha256: str, reason: str) -> Finding:
    return {"sha256": sha256, "state": manifest.QUARANTINED, "reason": reason}
