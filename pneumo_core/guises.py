"""The guises in which a copy of a film may come: tilted, mirrored, cropped, framed.

Each film is hashed as it is and without its margin; those hashes are the base. It is looked for in
the base under every guise, so that of two copies one finds the other whichever was altered.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

from pneumo_core.fingerprint import THUMBNAIL_SIDE_PX, perceptual_hashes
from pneumo_core.images import Gray, Images

MARGIN_PX = 6  # of a thumbnail: where a border or a caption would be
DETAIL_SIGMA_PX = 3  # what is coarser than this all chest films have in common
BLOCK_FILMS = 256


@dataclass(frozen=True)
class Guise:
    angle_deg: float = 0.0
    zoom: float = 1.0  # above 1: only the centre is seen
    mirrored: bool = False

    def __call__(self, thumbnail: Gray, aspect: float) -> Gray:
        """
        Args:
            aspect: width to height of the film, which its thumbnail no longer has.
        """
        if self == Guise():
            return thumbnail
        angle, centre = np.deg2rad(self.angle_deg), (THUMBNAIL_SIDE_PX - 1) / 2
        cos, sin = self.zoom * np.cos(angle), self.zoom * np.sin(angle)
        turn = np.array([[cos, sin / aspect], [-sin * aspect, cos]])
        turn = turn @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        shift = centre - turn.sum(1) * centre
        matrix = np.column_stack([turn, shift])
        return np.asarray(cv2.warpAffine(thumbnail, matrix, thumbnail.shape), np.uint8)


# Angles and zooms in steps that a hash bridges: half a step off it changes some 24 of 256 bits.
BASE = (Guise(), Guise(zoom=1 / 0.9))
GUISES = (
    *(Guise(angle_deg=a, mirrored=m) for a, m in product(range(-10, 11, 2), (False, True))),
    *(
        Guise(zoom=1 / share, mirrored=m)
        for share, m in product((0.975, 0.95, 0.925, 0.9), (False, True))
    ),
)


def hashes(
    thumbnails: Images, aspects: npt.NDArray[np.float64], guises: tuple[Guise, ...]
) -> npt.NDArray[np.uint8]:
    """Packed perceptual hashes [G, N, 32] of thumbnails [N, 64, 64]."""

    def of_block(start: int) -> npt.NDArray[np.uint8]:
        block = slice(start, start + BLOCK_FILMS)
        films = list(zip(thumbnails[block], aspects[block].tolist(), strict=True))
        return np.stack(
            [perceptual_hashes(np.stack([guise(*film) for film in films])) for guise in guises]
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(of_block, range(0, len(thumbnails), BLOCK_FILMS)))
    return np.concatenate([np.empty((len(guises), 0, 32), np.uint8), *blocks], axis=1)


def likeness(first: Gray, second: Gray) -> float:
    """Correlation of the fine detail inside the margin of two thumbnails, -1..1."""
    return float(np.vdot(_detail(first), _detail(second)))


def _detail(thumbnail: Gray) -> npt.NDArray[np.float32]:
    pixels = thumbnail.astype(np.float32)
    fine = pixels - cv2.GaussianBlur(pixels, (0, 0), DETAIL_SIGMA_PX)
    inside = fine[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    inside = inside - inside.mean()
    return np.asarray(inside / max(float(np.linalg.norm(inside)), 1e-6), np.float32)
