"""What may befall a film on its way: the 13 corruptions and severities of MedMNIST-C for pneumonia.

Di Salvo, Doerrich, Ledig (2024), "MedMNIST-C", arXiv:2406.17536: their `medmnistc` states for each
corruption of PneumoniaMNIST five severities. Here they fall on the gray film as the model reads it;
there noise fell on three equal channels, whose luma has two thirds of it, so ours is the harder.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageEnhance

from pneumo_core.arrays import Floats, Gray, Images

NUM_SEVERITIES = 5

Corrupt = Callable[[Gray, float, np.random.Generator], Gray]


@dataclass(frozen=True)
class Corruption:
    parameter: str  # what the numbers are
    by_severity: tuple[float, float, float, float, float]
    apply: Corrupt


def corrupt(images: Images, name: str, severity: int, seed: int) -> Images:
    """Films [N, H, W] under one of `CORRUPTIONS` at severity 1..5, from the seed alone."""
    corruption = CORRUPTIONS[name]
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name), severity])
    by = corruption.by_severity[severity - 1]
    return np.stack([corruption.apply(pixels, by, rng) for pixels in images])


def _pixelate(pixels: Gray, by: float, _: np.random.Generator) -> Gray:
    film = Image.fromarray(pixels)
    small = film.resize((int(film.width * by), int(film.height * by)), Image.Resampling.BOX)
    return np.asarray(small.resize(film.size, Image.Resampling.BOX))


def _jpeg(pixels: Gray, by: float, _: np.random.Generator) -> Gray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=int(by))
    return np.asarray(Image.open(buffer))


def _gaussian_noise(pixels: Gray, by: float, rng: np.random.Generator) -> Gray:
    return _to_bytes(pixels / 255 + rng.normal(scale=by, size=pixels.shape))


def _speckle_noise(pixels: Gray, by: float, rng: np.random.Generator) -> Gray:
    return _to_bytes(pixels / 255 * (1 + rng.normal(scale=by, size=pixels.shape)))


def _shot_noise(pixels: Gray, by: float, rng: np.random.Generator) -> Gray:
    return _to_bytes(rng.poisson(pixels / 255 * by) / by)


def _impulse_noise(pixels: Gray, by: float, rng: np.random.Generator) -> Gray:
    """Half of what is hit turns black, half white."""
    dice = rng.random(pixels.shape)
    return np.where(dice < by, np.where(dice < by / 2, 0, 255), pixels).astype(np.uint8)


def _gaussian_blur(pixels: Gray, by: float, _: np.random.Generator) -> Gray:
    """Sigma follows from the kernel's width as torchvision and OpenCV both have it."""
    sigma = 0.3 * ((by - 1) / 2 - 1) + 0.8
    return np.asarray(cv2.GaussianBlur(pixels, (int(by), int(by)), sigma), np.uint8)


def _brightness(pixels: Gray, by: float, _: np.random.Generator) -> Gray:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(pixels)).enhance(by))


def _contrast(pixels: Gray, by: float, _: np.random.Generator) -> Gray:
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(pixels)).enhance(by))


def _gamma(pixels: Gray, by: float, _: np.random.Generator) -> Gray:
    return _to_bytes((pixels / 255) ** by)


def _to_bytes(levels: Floats) -> Gray:
    """0..1 to 0..255, clipped."""
    levels_of_255: Gray = np.rint(levels.clip(0, 1) * 255).astype(np.uint8)
    return levels_of_255


CORRUPTIONS = {
    "pixelate": Corruption("scale", (0.8, 0.7, 0.6, 0.5, 0.4), _pixelate),
    "jpeg_compression": Corruption("quality", (50, 30, 15, 10, 7), _jpeg),
    "gaussian_noise": Corruption("std", (0.04, 0.05, 0.06, 0.07, 0.08), _gaussian_noise),
    "speckle_noise": Corruption("std", (0.05, 0.07, 0.10, 0.15, 0.20), _speckle_noise),
    "impulse_noise": Corruption("share", (0.005, 0.01, 0.013, 0.017, 0.02), _impulse_noise),
    "shot_noise": Corruption("quanta", (300, 200, 150, 100, 80), _shot_noise),
    "gaussian_blur": Corruption("kernel_px", (3, 5, 7, 9, 11), _gaussian_blur),
    "brightness_up": Corruption("factor", (1.1, 1.2, 1.3, 1.4, 1.5), _brightness),
    "brightness_down": Corruption("factor", (0.9, 0.8, 0.7, 0.6, 0.5), _brightness),
    "contrast_up": Corruption("factor", (1.1, 1.2, 1.3, 1.4, 1.6), _contrast),
    "contrast_down": Corruption("factor", (0.9, 0.8, 0.7, 0.6, 0.4), _contrast),
    "gamma_up": Corruption("exponent", (1.1, 1.2, 1.3, 1.4, 1.6), _gamma),
    "gamma_down": Corruption("exponent", (0.9, 0.8, 0.7, 0.6, 0.4), _gamma),
}
