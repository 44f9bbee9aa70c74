"""Saliency maps of films: where is the evidence for pneumonia?

A map is the evidence of HiResCAM (`hirescam.py`) without its negative parts, enlarged to the film.
"""

import cv2
import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Floats, Gray, Images
from pneumo_core.evaluation.engine import Engine

OPACITY = 0.65  # of the map where it is brightest

RGB = npt.NDArray[np.uint8]  # [H, W, 3]


def evidence_on(engine: Engine, images: Images) -> Floats:
    """Return the evidence for pneumonia or, below 0, against it, in films [N, H, W]: [N, h, w].

    The unit is log odds per cell of the feature map, so films can be compared.

    Raises:
        EvaluationError: the model has no spatial feature map.
    """
    size = engine.batch_size(images.shape[-1])
    parts = [engine.evidence(images[start : start + size]) for start in range(0, len(images), size)]
    return np.concatenate(parts).astype(np.float64)


def map_films(engine: Engine, images: Images) -> Floats:
    """Return the maps of films [N, H, W], of the same shape, 0 or more; all zeros: no evidence.

    Raises as `evidence_on` does.
    """
    return enlarge(evidence_on(engine, images), images.shape[-1])


def enlarge(evidence_NHW: Floats, side_px: int) -> Floats:
    """Return what is above 0 at the size of square films, bilinear."""
    positive = evidence_NHW.clip(0)
    return np.stack([cv2.resize(map_HW, (side_px, side_px)) for map_HW in positive])


def overlay(pixels: Gray, saliency: Floats) -> RGB:
    """Return a film [H, W] under its saliency [H, W], 0..1; where that is 0 the film is bare."""
    levels = (saliency * 256).clip(0, 255).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1]
    opacity = OPACITY * saliency[..., None]
    mixed: RGB = np.rint(pixels[..., None] * (1 - opacity) + colours * opacity).astype(np.uint8)
    return mixed
