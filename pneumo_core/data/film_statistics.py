"""Figures of a film that need no anatomy: gray levels, the frame's edges, sharpness."""

import numpy as np

from pneumo_core.arrays import Floats, Images

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
BORDER = 1 / 16  # of a side
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
