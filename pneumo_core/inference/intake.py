"""From the bytes of a file to a film for a model, or the reason why it is not a chest film.

A model gives a probability for any picture. So pictures are refused that have colour, hardly any
contrast, or finer detail than any film (a page of text, noise). A picture that passes may still be
unlike the training films: its features show that (`reference.py`).
"""

import io

import numpy as np
from PIL import Image

from pneumo_core.arrays import Gray
from pneumo_core.data.film_statistics import (
    MIN_GRAY_LEVELS,
    NAMES,
    film_statistics,
    num_gray_levels,
)
from pneumo_core.data.images import FORMATS, decode
from pneumo_core.errors import ImageError, NoFilmError
from pneumo_core.evaluation.reference import Reference
from pneumo_core.sources.dicom_pixels import looks_like_dicom, render

MAX_PIXELS = 40_000_000  # of a file by its header; the largest detectors have 15 million
MIN_SIDE_PX = 32
GRAY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"}
THUMBNAIL_PX = 64

# Films of the public archive that are stored in colour have 0, photographs 25 and more.
MAX_COLOUR = 8.0  # mean difference between the largest and the smallest of red, green and blue
# Parts of the training films' own: a film may have half the contrast of the palest of them.
MIN_CONTRAST, MAX_SHARPNESS = 0.5, 2.0


def admit(data: bytes, reference: Reference, size_px: int) -> Gray:
    """Return the film in a JPEG, PNG, DICOM or other file, [size_px, size_px], for a model.

    Raises:
        ImageError: nothing that can be decoded, or too large.
        NoFilmError: a picture, but not a chest film.
    """
    if looks_like_dicom(data):
        data = _render(data)
    film = decode(data, MAX_PIXELS, MIN_SIDE_PX, size_px)
    if film.colour_mode not in GRAY_MODES and (colour := _colour(data)) > MAX_COLOUR:
        raise NoFilmError(
            f"not a chest film: it is in colour (by {colour:.0f} levels of 255, films have "
            f"less than {MAX_COLOUR:.0f})"
        )
    pixels = film.squared(size_px)
    _require_levels_of_a_film(pixels, reference)
    if (levels := num_gray_levels(pixels)) < MIN_GRAY_LEVELS:
        raise NoFilmError(
            f"not a chest film: it has almost no contrast ({levels:.0f} gray levels in its "
            f"middle, films have more than {MIN_GRAY_LEVELS})"
        )
    return pixels


def _require_levels_of_a_film(pixels: Gray, reference: Reference) -> None:
    found = film_statistics(pixels[np.newaxis])[0]
    of_std, of_sharpness = NAMES.index("std"), NAMES.index("sharpness")
    std, min_std = found[of_std], MIN_CONTRAST * reference.statistics[:, of_std].min()
    if std < min_std:
        raise NoFilmError(
            f"not a chest film: it is blank or nearly so (its gray levels vary by {std:.1f}, "
            f"in films by more than {min_std:.1f})"
        )
    sharpness = found[of_sharpness]
    max_sharpness = MAX_SHARPNESS * reference.statistics[:, of_sharpness].max()
    if sharpness > max_sharpness:
        raise NoFilmError(
            "not a chest film: it is full of fine detail, as text or noise is (neighbours "
            f"differ by {sharpness:.1f} levels, in films by less than {max_sharpness:.1f})"
        )


def _render(data: bytes) -> bytes:
    try:
        return render(io.BytesIO(data), MAX_PIXELS)
    except OSError as error:
        raise ImageError(str(error)) from None


def _colour(data: bytes) -> float:
    """Return how colourful a picture is that `decode` could read, in levels of 255."""
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    image.draft("RGB", (THUMBNAIL_PX, THUMBNAIL_PX))
    small = image.convert("RGB").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    levels = np.asarray(small, np.int16)
    return float((levels.max(2) - levels.min(2)).mean())
