"""Fingerprints of a film: a hash of its pixels, and a perceptual hash that survives re-encoding."""

import hashlib

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

from pneumo_core.arrays import Gray
from pneumo_core.data.images import resize

HASH_SIDE = 16
NUM_BITS = HASH_SIDE**2
THUMBNAIL_SIDE_PX = 64

# Rows 1 to 16 of the DCT-II: the constant row 0 would only measure brightness.
_DCT_ROWS = dct(np.eye(THUMBNAIL_SIDE_PX), axis=0, norm="ortho")[1 : HASH_SIDE + 1].astype(
    np.float32
)

Spectra = npt.NDArray[np.float32]  # [N, 16, 16]: waves down the film, waves across it


def pixel_sha256(pixels: Gray) -> str:
    """Return the SHA-256 of the decoded pixels and their shape; lossless re-saving keeps it."""
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def thumbnail(pixels: Gray) -> Gray:
    return resize(pixels, THUMBNAIL_SIDE_PX)


def perceptual_hashes(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return DCT hashes of thumbnails [N, 64, 64], packed, [N, 32].

    Each bit says whether the coefficient of one frequency is above the median.

    After Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010).
    """
    return bits_of_spectra(spectra(thumbnails))


def spectra(thumbnails: npt.NDArray[np.uint8]) -> Spectra:
    found: Spectra = _DCT_ROWS @ thumbnails.astype(np.float32) @ _DCT_ROWS.T
    return found


def mirrored(spectra_N: Spectra) -> Spectra:
    """Return the spectra of the films mirrored left to right: odd waves across change sign."""
    signs = np.where(np.arange(1, HASH_SIDE + 1) % 2, -1, 1).astype(np.float32)
    return spectra_N * signs


def bits_of_spectra(spectra_N: Spectra) -> npt.NDArray[np.uint8]:
    flat = spectra_N.reshape(len(spectra_N), -1)
    middle = np.partition(flat, NUM_BITS // 2, axis=1)[:, NUM_BITS // 2, None]
    return np.packbits(flat >= middle, axis=1)
