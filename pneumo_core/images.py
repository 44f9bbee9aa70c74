"""From the bytes of a file to gray pixels, and the one resize rule of the project.

Gray: 8 bits, luma of ITU-R 601; 16-bit images are scaled, not clipped.
Resize: squashed to a square, antialiased bilinear. Padding would keep the aspect ratio, which
alone separates the classes of the public archive.
"""

import io
import struct
import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from pneumo_core.errors import ImageError

RESIZE_RULE = "squash-bilinear-antialias"

# What films come as; other readers of Pillow start programs or were never meant for pictures.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")

Gray = npt.NDArray[np.uint8]  # [H, W]
Images = npt.NDArray[np.uint8]  # [N, H, W]


@dataclass(frozen=True)
class Film:
    pixels: Gray
    colour_mode: str


# What Pillow's readers raise on damaged bytes of one format or another.
_DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    struct.error,
)


def decode(data: bytes, max_pixels: int, min_side_px: int = 1) -> Film:
    """
    Raises:
        ImageError: no image, truncated, more than `max_pixels` by its header (nothing is
            decoded then), a side under `min_side_px`, several frames, or an unknown pixel type.
    """
    if not data:
        raise ImageError("empty file")
    try:
        with warnings.catch_warnings():  # ours is the limit that counts
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(f"oversized: {width} x {height} pixels, at most {max_pixels} allowed")
        if min(width, height) < min_side_px:
            raise ImageError(f"too small: {width} x {height} pixels")
        if (num_frames := getattr(image, "n_frames", 1)) > 1:
            raise ImageError(f"{num_frames} frames, not one film")
        return Film(_to_gray(image), image.mode)
    except UnidentifiedImageError as error:
        raise ImageError("not an image") from error
    except Image.DecompressionBombError as error:
        raise ImageError("oversized: the header claims a decompression bomb") from error
    except _DAMAGE as error:
        raise ImageError(f"cannot be decoded: {error}") from error


def _to_gray(image: Image.Image) -> Gray:
    if image.mode.startswith("I;16"):
        return (np.asarray(image, dtype=np.uint32) // 257).astype(np.uint8)
    if image.mode in {"I", "F"}:
        raise ImageError(f"unknown pixel type {image.mode}")
    return np.array(image.convert("L"))


def resize(pixels: Gray, size_px: int) -> Gray:
    """[H, W] to [size_px, size_px] by the project's rule."""
    if pixels.shape == (size_px, size_px):
        return pixels
    resized = Image.fromarray(pixels).resize((size_px, size_px), Image.Resampling.BILINEAR)
    return np.asarray(resized)
