"""Variants in which a duplicate of a film may come: tilted, mirrored, cropped, framed, inverted.

Each film is hashed as it is and without its margin; those hashes are the base. Every variant of it
is looked up in the base, so a pair is found whichever of the two was altered.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Gray, Images
from pneumo_core.preparation.fingerprint import (
    THUMBNAIL_SIDE_PX,
    bits_of_spectra,
    mirrored,
    spectra,
)

MARGIN_PX = 6  # of a thumbnail: where a border or a caption would be
DETAIL_SIGMA_PX = 3  # all chest films share the coarser structures
BLOCK_FILMS = 256

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Variant:
    angle_deg: float = 0.0
    cut: tuple[float, float, float, float] = (0, 0, 0, 0)  # left, top, right, bottom: parts lost
    mirrored: bool = False
    inverted: bool = False  # as a reader shows MONOCHROME1 that does not know it

    def __call__(self, thumbnail: Gray, aspect: float) -> Gray:
        """Return the variant of one thumbnail.

        Args:
            aspect: width to height of the film; its thumbnail is a square.
        """
        one: Gray = self.of_all(thumbnail[None], np.array([aspect]))[0]
        return one

    def of_all(self, thumbnails: Images, aspects: Floats) -> Images:
        if self == Variant():
            return thumbnails
        size = (THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX)
        shown = [
            cv2.warpAffine(thumbnail, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            for thumbnail, matrix in zip(thumbnails, self._matrices(aspects), strict=True)
        ]
        return np.stack([255 - film for film in shown] if self.inverted else shown)

    def _matrices(self, aspects: Floats) -> Floats:
        """Return the maps [N, 2, 3] from a position in the variant to the position in the film."""
        left, top, right, bottom = self.cut
        angle, centre = np.deg2rad(self.angle_deg), (THUMBNAIL_SIDE_PX - 1) / 2
        turn = np.empty((len(aspects), 2, 2))
        turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
        turn[:, 0, 1], turn[:, 1, 0] = -np.sin(angle) / aspects, np.sin(angle) * aspects
        turn = np.diag([-1.0 if self.mirrored else 1.0, 1.0]) @ turn
        matrices = turn @ np.diag([1 - left - right, 1 - top - bottom])
        middles = centre + turn @ np.array([left - right, top - bottom]) * centre
        shifts = middles - matrices.sum(2) * centre
        return np.concatenate([matrices, shifts[:, :, None]], axis=2)


def _around(part: float) -> tuple[float, float, float, float]:
    return (part / 2,) * 4


# Angles and cuts in steps that a hash bridges: half a step off it changes some 24 of 256 bits.
_TILTED = tuple(Variant(angle_deg=angle) for angle in range(-10, 11, 2) if angle)
_CROPPED = tuple(Variant(cut=_around(part)) for part in (0.025, 0.05, 0.075, 0.1))
_CUT_AT_EDGES = tuple(
    Variant(cut=(0.05 * left, 0.05 * top, 0.05 * right, 0.05 * bottom))
    for left, right in ((0, 0), (0, 1), (1, 0))
    for top, bottom in ((0, 0), (0, 1), (1, 0))
    if left or top or right or bottom
)
BASE = (Variant(), Variant(cut=_around(0.1)))
# What leaves the film whole, and what is only met half a step off: the second is searched closer.
WHOLE = (Variant(), Variant(mirrored=True), Variant(inverted=True))
PARTIAL = (
    *_TILTED,
    *_CROPPED,
    *_CUT_AT_EDGES,
    *(replace(variant, mirrored=True) for variant in _TILTED + _CROPPED),
)


def hashes(
    thumbnails: Images, aspects: Floats, variants: tuple[Variant, ...]
) -> npt.NDArray[np.uint8]:
    """Return packed perceptual hashes [variants, N, 32] of thumbnails [N, 64, 64]."""

    def of_block(start: int) -> npt.NDArray[np.uint8]:
        block = slice(start, start + BLOCK_FILMS)
        return np.stack(list(_hashes(thumbnails[block], aspects[block], variants)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(of_block, range(0, len(thumbnails), BLOCK_FILMS)))
    return np.concatenate([np.empty((len(variants), 0, 32), np.uint8), *blocks], axis=1)


def _hashes(
    thumbnails: Images, aspects: Floats, variants: tuple[Variant, ...]
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the hashes of each variant; a mirrored film's spectrum follows from the film's."""
    seen: dict[Variant, npt.NDArray[np.float32]] = {}
    for variant in variants:
        twin = replace(variant, mirrored=False)
        turned = replace(twin, angle_deg=-twin.angle_deg) if variant.mirrored else twin
        if turned not in seen:
            seen[turned] = spectra(turned.of_all(thumbnails, aspects))
        yield bits_of_spectra(mirrored(seen[turned]) if variant.mirrored else seen[turned])


def similarity(first: Gray, second: Gray) -> float:
    """Return the correlation of the fine detail of two thumbnails inside their margin, -1..1."""
    return float(np.vdot(_detail(first), _detail(second)))


def _detail(thumbnail: Gray) -> npt.NDArray[np.float32]:
    pixels = thumbnail.astype(np.float32)
    fine = pixels - cv2.GaussianBlur(pixels, (0, 0), DETAIL_SIGMA_PX)
    inside = fine[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    inside = inside - inside.mean()
    return np.asarray(inside / max(float(np.linalg.norm(inside)), 1e-6), np.float32)
