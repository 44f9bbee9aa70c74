"""Validation films as another place might have recorded them: the second validation.

Ordinary validation comes from the same films as training, so it cannot show what a model owes to
the way they were recorded. Here each film keeps its finding and its patient, and gets one fault of
recording: strong JPEG compression, dead or saturated detector elements, or the stripes of an
anti-scatter grid. No augmentation recipe imitates any of them (a test compares the two), so this
validation cannot reward a recipe for what it trained on.
"""

from collections.abc import Iterable

import numpy as np

from pneumo_core.arrays import Gray, Images
from pneumo_core.evaluation.corruptions import CORRUPTIONS, Corruption

PERIOD_PX = (3.0, 6.0)  # of the stripes: a grid's lines, folded by the resize to a square


def _stripes(pixels: Gray, by: float, rng: np.random.Generator) -> Gray:
    """Add a sine wave along one side of the film; `by` is its amplitude as a part of full scale."""
    waves = np.arange(pixels.shape[0]) / rng.uniform(*PERIOD_PX) + rng.uniform()
    lines = 255 * by * np.sin(2 * np.pi * waves)
    stripes = lines[:, None] if rng.random() < 0.5 else lines[None]
    striped: Gray = np.rint(pixels + stripes).clip(0, 255).astype(np.uint8)
    return striped


FAULTS = {
    "jpeg_compression": CORRUPTIONS["jpeg_compression"],
    "impulse_noise": CORRUPTIONS["impulse_noise"],
    "stripes": Corruption("amplitude", (0.01, 0.015, 0.02, 0.03, 0.04), _stripes),
}


def shifted(films: Images, pixel_sha256s: Iterable[str]) -> Images:
    """Return each film [N, H, H] with one of `FAULTS` at one of its severities.

    Which fault, and how severe, follows from the film's own hash, whatever the other films are.
    """
    return np.stack(
        [_with_fault(film, sha256) for film, sha256 in zip(films, pixel_sha256s, strict=True)]
    )


def _with_fault(film: Gray, sha256: str) -> Gray:
    rng = np.random.default_rng(int(sha256[:16], 16))
    fault = list(FAULTS.values())[rng.integers(len(FAULTS))]
    return fault.apply(film, rng.choice(fault.by_severity), rng)
