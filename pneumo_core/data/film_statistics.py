"""Figures of a film that need no anatomy: gray levels, the frame's edges, sharpness."""

import cv2
import numpy as np

from pneumo_core.arrays import Floats, Gray, Images

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
BORDER = 1 / 16  # of a side
# The fewest in a film are 27.7 of 5,543 (the public archive), 59.6 of 449 (NIH), at 28 px 23.2 and
# 46.9. A flat film with noise of 3 levels has 12.
MIN_GRAY_LEVELS = 14
NAMES = (
    "mean",
    "std",
    *(f"percentile_{q}" for q in PERCENTILES),
    "black_share",
    *(f"border_{side}" for side in ("top", "bottom", "left", "right")),
    *(f"corner_{n}" for n in ("top_left", "top_right", "bottom_left", "bottom_right")),
    "sharpness",
)


def film_statistics(images: Images) -> Floats:
    """Return the figures `NAMES` of films [N, H, W] as [N, len(NAMES)].

    All are in gray levels, except the share of black pixels, 0 to 1.
    """
    return np.stack([_of_one(np.asarray(pixels)) for pixels in images])


def num_gray_levels(pixels: Gray) -> float:
    """Return the effective number of gray levels in the middle of a film [H, W].

    It is 2 to the power of the entropy, so levels that few pixels have hardly count. The middle is
    half of each side; a frame that reaches into it adds one level for each of its own.
    """
    high, wide = (side // 4 for side in pixels.shape)
    middle = pixels[high : pixels.shape[0] - high, wide : pixels.shape[1] - wide]
    shares = cv2.calcHist([middle], [0], None, [256], [0, 256]).ravel() / middle.size
    shares = shares[shares > 0]
    return float(2 ** -(shares @ np.log2(shares)))


def _of_one(pixels: Images) -> Floats:
    shares = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    levels = np.arange(256)
    mean = float(shares @ levels)
    std = np.sqrt(shares @ (levels - mean) ** 2)
    percentiles = np.searchsorted(np.cumsum(shares), np.array(PERCENTILES) / 100 - 1e-9)
    high, wide = (max(1, round(side * BORDER)) for side in pixels.shape)
    top, bottom, left, right = (
        (slice(high), slice(None)),
        (slice(-high, None), slice(None)),
        (slice(None), slice(wide)),
        (slice(None), slice(-wide, None)),
    )
    corners = [(rows[0], columns[1]) for rows in (top, bottom) for columns in (left, right)]
    frame = [pixels[part].mean() for part in (top, bottom, left, right, *corners)]
    signed = pixels.astype(np.int16)
    steps = [np.abs(np.diff(signed, axis=axis)).mean() for axis in (0, 1)]
    return np.array([mean, std, *percentiles, shares[0], *frame, np.mean(steps)])
