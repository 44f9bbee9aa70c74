"""Saliency maps of films: where is the evidence for pneumonia?

A map is the evidence of HiResCAM (`hirescam.py`) without its negative parts, enlarged to the film.
"""

import cv2
import numpy as np

from pneumo_core.arrays import Floats, Images
from pneumo_core.evaluation.engine import Engine


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
