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
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def perceptual_hash(pixels: Gray) -> str:
    """DCT hash of 256 bits as 64 hex digits: a bit says whether a frequency lies above the median.

    After Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010).
    """
    thumbnail = resize(pixels, THUMBNAIL_SIDE_PX).astype(np.float64)
    spectrum = _DCT_ROWS @ thumbnail @ _DCT_ROWS.T
    bits = spectrum > np.median(spectrum)
    return np.packbits(bits).tobytes().hex()


def unpack_hashes(hashes: list[str]) -> npt.NDArray[np.uint8]:
    """Hex hashes as bits, [N, 256] of 0 and 1."""
    packed = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8)
    return np.unpackbits(packed.reshape(len(hashes), -1), axis=1)
