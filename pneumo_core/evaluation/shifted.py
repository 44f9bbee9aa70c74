"""Validation films as another place might have taken them: the second validation.

Ordinary validation comes from the same films as training, so it does not see what a model owes to
how they were taken, and goes on rising while later films are read worse. Here every film keeps its
finding and its patient, and gets another exposure, another curve from dose to gray, another
collimation and another posture: each drawn from the widest range in which a reader would still
call it as before (`recipes.LIMITS`), but for the crop, which keeps at least 60 % of the area.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from pneumo_core.arrays import Images
from pneumo_core.data.transforms import LIMITS, transform

SHIFT = replace(
    LIMITS,
    crop_area=(0.6, 1.0),
    clahe_clip=(1.0, 1.0),
    blur_sigma=(0.0, 0.0),
    noise_std=(0.0, 0.0),
)


def shifted(films: Images, pixel_sha256s: Iterable[str]) -> Images:
    """Each film [N, H, W] altered by what its own hash draws, whatever the others are."""
    seeds = (int(sha256[:16], 16) for sha256 in pixel_sha256s)
    rows = [
        transform(film, SHIFT, np.random.default_rng(seed))
        for film, seed in zip(films, seeds, strict=True)
    ]
    return np.stack(rows)
