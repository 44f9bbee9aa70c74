"""What tells two films apart: a hash of the pixels, and one that survives re-encoding."""

import hashlib

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from pneumo_core.images import Gray, resize

HASH_SIDE = 16  # 16 x 16 = 256 bits
THUMBNAIL_SIDE_PX = 64

# Rows 1 to 16 of the DCT-II: the constant row 0 would only measure brightness.
_DCT_ROWS = dct(np.eye(THUMBNAIL_SIDE_PX), axis=0, norm="ortho")[1 : HASH_SIDE + 1]


def pixel_sha256(pixels: Gray) -> str:
    """Of the decoded pixels and their shape, so that a re-saved copy without loss is found."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def thumbnail(pixels: Gray) -> Gray:
    return resize(pixels, THUMBNAIL_SIDE_PX)


def perceptual_hashes(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """DCT hashes of thumbnails [N, 64, 64], packed, [N, 32]: a bit says whether a frequency lies
    above the median.

    After Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010).
    """
    spectra = (_DCT_ROWS @ thumbnails.astype(np.float64) @ _DCT_ROWS.T).reshape(len(thumbnails), -1)
    return np.packbits(spectra > np.median(spectra, axis=1, keepdims=True), axis=1)
