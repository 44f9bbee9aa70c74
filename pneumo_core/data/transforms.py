"""Alter a film at random within `Ranges`: gray values first, then geometry in one pass.

Geometry comes last, so that the area outside the film is black whatever its brightness.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, exp, log, radians, sin, sqrt

import cv2
import numpy as np
from scipy.special import ndtri

from pneumo_core.arrays import Gray

Range = tuple[float, float]


@dataclass(frozen=True)
class Ranges:
    """Bounds between which each value of an augmented film is drawn; the defaults alter nothing.

    Lengths are parts of the film's side, so a range means the same at every resolution.
    """

    brightness: Range = (0.0, 0.0)  # added, as a part of full scale
    contrast: Range = (1.0, 1.0)  # factor about the film's mean
    rotation_deg: Range = (0.0, 0.0)
    crop_area: Range = (1.0, 1.0)  # part of the film that fills the frame
    crop_aspect: Range = (1.0, 1.0)  # its width to height, drawn on a log scale
    gamma: Range = (1.0, 1.0)  # exponent of the gray value in 0..1, drawn on a log scale
    clahe_clip: Range = (1.0, 1.0)  # OpenCV's clip limit in 8 x 8 tiles; 1 is a flat histogram
    blur_sigma: Range = (0.0, 0.0)  # of a Gaussian
    noise_std: Range = (0.0, 0.0)  # of white Gaussian noise, as a part of full scale
    shift: Range = (0.0, 0.0)  # right and down, drawn for each
    scale: Range = (1.0, 1.0)  # size of what is shown, drawn on a log scale

    def within(self, limits: "Ranges") -> bool:
        return all(
            getattr(limits, name)[0] <= low <= high <= getattr(limits, name)[1]
            for name, (low, high) in vars(self).items()
        )


# The widest range of each transform in which a reader would still see the same film. A test keeps
# every recipe inside. Blur and crop can hide a finding: at 224 px, where a pixel is
# about 1.7 mm of the patient, the bound on blur is 1.1 px, still finer than an acinar shadow
# (6 to 10 mm); the bound on the crop keeps the area of a lung.
LIMITS = Ranges(
    brightness=(-0.2, 0.2),
    contrast=(0.7, 1.3),
    rotation_deg=(-15, 15),
    crop_area=(0.3, 1.0),
    crop_aspect=(3 / 4, 4 / 3),
    gamma=(0.7, 1.5),
    clahe_clip=(1.0, 4.0),
    blur_sigma=(0.0, 0.005),
    noise_std=(0.0, 0.04),
    shift=(-0.1, 0.1),
    scale=(0.85, 1.15),
)


NUM_DRAWS = 14
CLAHE_TILES = (8, 8)

# Quantiles of the normal distribution, so that one random byte a pixel makes its noise: seven
# times as fast as normal numbers, and much finer than the gray values that it ends in.
_NORMAL_QUANTILES = ndtri((np.arange(256) + 0.5) / 256)
_LEVELS = np.arange(256) / 255
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def transform(pixels: Gray, ranges: Ranges, rng: np.random.Generator) -> Gray:
    """Return the film, [H, W], altered by values drawn from `ranges`; the area outside it is black.

    The result may be `pixels` itself if the ranges alter nothing.
    """
    draws = iter(rng.random(NUM_DRAWS).tolist())  # always as many, so that ranges stay independent
    altered = _tone(
        pixels,
        gamma=_log_uniform(ranges.gamma, draws),
        contrast=_uniform(ranges.contrast, draws),
        brightness=_uniform(ranges.brightness, draws),
    )
    if (clip := _uniform(ranges.clahe_clip, draws)) > 1:
        altered = np.asarray(cv2.createCLAHE(clip, CLAHE_TILES).apply(altered), np.uint8)
    if (sigma := _uniform(ranges.blur_sigma, draws)) > 0:
        sigma_xy_px = (sigma * pixels.shape[1], sigma * pixels.shape[0])
        altered = np.asarray(cv2.GaussianBlur(altered, (0, 0), *sigma_xy_px), np.uint8)
    if (std := _uniform(ranges.noise_std, draws)) > 0:
        altered = _with_noise(altered, std, rng)
    return _move(altered, ranges, draws)


def _uniform(bounds: Range, draws: Iterator[float]) -> float:
    low, high = bounds
    return low + (high - low) * next(draws)


def _log_uniform(bounds: Range, draws: Iterator[float]) -> float:
    low, high = bounds
    return exp(_uniform((log(low), log(high)), draws))


def _tone(pixels: Gray, gamma: float, contrast: float, brightness: float) -> Gray:
    if (gamma, contrast, brightness) == (1.0, 1.0, 0.0):
        return pixels
    mean = cv2.mean(pixels)[0] / 255 if contrast != 1 else 0.0
    levels = (_LEVELS**gamma - mean) * contrast + mean + brightness
    table = np.rint(levels.clip(0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table), np.uint8)


def _with_noise(pixels: Gray, std: float, rng: np.random.Generator) -> Gray:
    dice = np.frombuffer(rng.bytes(pixels.size), np.uint8).reshape(pixels.shape)
    table = np.rint(_NORMAL_QUANTILES * std * 255).clip(-128, 127).astype(np.int8)
    return np.asarray(cv2.add(pixels, cv2.LUT(dice, table), dtype=cv2.CV_8U), np.uint8)


def _move(pixels: Gray, ranges: Ranges, draws: Iterator[float]) -> Gray:
    """Crop, scale, shift and rotate by one map from the result's positions to the film's."""
    area, aspect = _uniform(ranges.crop_area, draws), _log_uniform(ranges.crop_aspect, draws)
    part_x, part_y = min(1.0, sqrt(area * aspect)), min(1.0, sqrt(area / aspect))
    place_x, place_y = next(draws), next(draws)
    shift_x, shift_y = _uniform(ranges.shift, draws), _uniform(ranges.shift, draws)
    scale = _log_uniform(ranges.scale, draws)
    angle = radians(_uniform(ranges.rotation_deg, draws))

    height, width = pixels.shape
    a, b = part_x / scale * cos(angle), -part_y / scale * sin(angle)
    d, e = part_x / scale * sin(angle), part_y / scale * cos(angle)
    c = width * (part_x / 2 + place_x * (1 - part_x) - shift_x) - (a * width + b * height) / 2
    f = height * (part_y / 2 + place_y * (1 - part_y) - shift_y) - (d * width + e * height) / 2
    if (a, b, c, d, e, f) == _IDENTITY:
        return pixels
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, width) for y in (0, height)]
    covered = all(-1e-6 <= x <= width + 1e-6 and -1e-6 <= y <= height + 1e-6 for x, y in corners)
    moved = cv2.warpAffine(
        pixels,
        # OpenCV counts from the middle of the first pixel, the map above from its corner.
        np.array([[a, b, c + (a + b - 1) / 2], [d, e, f + (d + e - 1) / 2]]),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if covered else cv2.BORDER_CONSTANT,
    )
    return np.asarray(moved, np.uint8)
