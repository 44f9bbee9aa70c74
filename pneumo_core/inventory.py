"""Every raw file looked at once: decoded, measured, fingerprinted, packed at the working size."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from pneumo_core import manifest
from pneumo_core.errors import ImageError
from pneumo_core.fingerprint import perceptual_hash, pixel_sha256
from pneumo_core.images import Gray, Images, decode, resize
from pneumo_core.params import ValidateParams
from pneumo_core.progress import track


def take_inventory(
    table: pd.DataFrame, read: Callable[[str], bytes], params: ValidateParams
) -> tuple[pd.DataFrame, Images]:
    """The manifest with what the pixels tell, and the kept films packed in its order.

    A file that cannot be decoded is quarantined with its reason.

    Args:
        read: gives the bytes of a file by its `image_id`.
    """
    kept = manifest.kept(table)
    images = np.empty((len(kept), params.image_size_px, params.image_size_px), np.uint8)
    findings: list[dict[str, object]] = []
    num_packed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes without the GIL
        looks = pool.map(lambda image_id: _look(read, image_id, params), kept["image_id"])
        for finding, pixels in track(looks, "validate", total=len(kept)):
            if pixels is not None:
                images[num_packed] = pixels
                finding["packed_row"] = num_packed
                num_packed += 1
            findings.append(finding)
    looked = pd.DataFrame(findings, index=kept.index).astype(object).combine_first(table)
    looked = manifest.conform(looked)
    manifest.check_counting_law(table, looked)
    return looked, images[:num_packed]


def _look(
    read: Callable[[str], bytes], image_id: str, params: ValidateParams
) -> tuple[dict[str, object], Gray | None]:
    try:
        film = decode(read(image_id), params.max_pixels, params.min_side_px)
    except (ImageError, OSError) as error:
        return {"state": manifest.QUARANTINED, "reason": str(error)}, None
    height, width = film.pixels.shape
    finding: dict[str, object] = {
        "pixel_sha256": pixel_sha256(film.pixels),
        "perceptual_hash": perceptual_hash(film.pixels),
        "width_px": width,
        "height_px": height,
        "colour_mode": film.colour_mode,
        "mean": float(film.pixels.mean()),
        "std": float(film.pixels.std()),
    }
    return finding, resize(film.pixels, params.image_size_px)
