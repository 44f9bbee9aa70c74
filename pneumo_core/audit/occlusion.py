"""Does a model read the lungs? Its AUROC on films of which a region is covered.

The regions are an atlas of frontal films that were squashed to a square: polygons in parts of the
side, drawn on the mean of 200 films of each class of the public archive. A single film may deviate
from it by a few per cent of its side, so the lungs are covered with a margin. A covered region gets
the mean of what stays visible of the film, so nothing of what it showed is left.
"""

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from pneumo_core.arrays import Bools, Gray, Images
from pneumo_core.audit.saliency_checks import border
from pneumo_core.audit.shortcuts import Cohort, Predict, auroc_gap
from pneumo_core.metrics import intervals
from pneumo_core.metrics.influence import of_auroc
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.progress import track

Polygon = tuple[tuple[float, float], ...]  # (x, y) in 0..1, from the upper left of the picture

LUNGS: tuple[Polygon, Polygon] = (  # the patient's right lung is on the left of the picture
    (
        (0.37, 0.15), (0.43, 0.20), (0.44, 0.35), (0.41, 0.50), (0.40, 0.62), (0.41, 0.76),
        (0.30, 0.77), (0.20, 0.80), (0.12, 0.84), (0.13, 0.70), (0.17, 0.54), (0.23, 0.38),
        (0.30, 0.22),
    ),
    (
        (0.60, 0.15), (0.65, 0.16), (0.72, 0.25), (0.79, 0.38), (0.85, 0.54), (0.88, 0.70),
        (0.89, 0.84), (0.80, 0.81), (0.73, 0.78), (0.71, 0.68), (0.67, 0.55), (0.61, 0.42),
        (0.57, 0.32), (0.57, 0.20),
    ),
)  # fmt: skip
HEART: Polygon = (
    (0.45, 0.38), (0.57, 0.34), (0.60, 0.43), (0.66, 0.56), (0.70, 0.68), (0.72, 0.79),
    (0.42, 0.79), (0.41, 0.62), (0.42, 0.50),
)  # fmt: skip


MARGIN = 0.03  # of the side


def atlas(side_px: int) -> dict[str, Bools]:
    """Return what is covered of a square film, [side, side], by name."""
    lungs = _fill(side_px, *LUNGS)
    around = np.ones((1 + 2 * round(MARGIN * side_px),) * 2, np.uint8)
    return {
        "lungs": cv2.dilate(lungs.astype(np.uint8), around) > 0,
        "all_but_lungs": ~lungs,
        "heart": _fill(side_px, HEART) & ~lungs,
        "border": border(side_px),
    }


def _fill(side_px: int, *polygons: Polygon) -> Bools:
    corners = [np.rint(np.array(polygon) * side_px).astype(np.int32) for polygon in polygons]
    filled: Bools = cv2.fillPoly(np.zeros((side_px, side_px), np.uint8), corners, 1) > 0
    return filled


def cover(images: Images, region: Bools) -> Images:
    """Return films [N, H, W] whose `region` [H, W] has the mean level of the rest of each film."""
    covered = images.copy()
    rest: Gray = np.rint(images[:, ~region].mean(axis=1)).astype(np.uint8)
    covered[:, region] = rest[:, None]
    return covered


def measure_occlusion(predict: Predict, images: Images, cohort: Cohort) -> dict[str, Any]:
    """Return what the AUROC loses when a region is covered, in five passes over films [N, H, W].

    `regions` has for each region of the atlas its share of the film `area`, the AUROC with it
    covered and the loss. `lungs_over_rest` is the AUROC from the lungs alone, less that with the
    lungs covered. `reads_lungs` is False where covering the lungs costs nothing beyond chance, or
    where the rest of the film alone tells more than the lungs alone, beyond chance; True where the
    cover costs and the lungs alone tell more, beyond chance; None where neither is shown.
    """
    whole = cohort.scores(predict(images))
    masks = atlas(images.shape[1])
    scores = {
        name: cohort.scores(predict(cover(images, mask)))
        for name, mask in track(masks.items(), "cover", unit="region")
    }
    influence = {name: of_auroc(each) for name, each in scores.items()}
    loss = {name: auroc_gap(of_auroc(whole), each, whole) for name, each in influence.items()}
    over_rest = auroc_gap(influence["all_but_lungs"], influence["lungs"], whole)
    return {
        "n": len(images),
        "n_positive": int(cohort.labels.sum()),
        "unaltered": asdict(intervals.auroc(whole)),
        "regions": {
            name: {
                "area": float(mask.mean()),
                "auroc": asdict(intervals.auroc(scores[name])),
                "loss": asdict(loss[name]),
            }
            for name, mask in masks.items()
        },
        "lungs_over_rest": asdict(over_rest),
        "reads_lungs": _reads_lungs(loss["lungs"], over_rest),
    }


def _reads_lungs(loss: Estimate, over_rest: Estimate) -> bool | None:
    if loss.ci_low <= 0 or over_rest.ci_high < 0:
        return False
    return True if over_rest.ci_low > 0 else None
