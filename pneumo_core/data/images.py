"""Decode a file to gray pixels, and resize by the one rule of the project.

Gray: 8 bits, luma of ITU-R 601; 16-bit images are scaled, not clipped.
Resize: squashed to a square, by area where it shrinks and bilinear where it grows. Padding would
keep the aspect ratio, which alone separates the classes of the public archive. A JPEG is decoded
at the smallest of libjpeg's scales (1, 1/2, 1/4, 1/8) that is not below the requested size.
"""

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, UnidentifiedImageError

from pneumo_core.arrays import Gray, Stack
from pneumo_core.errors import ImageError

HASHED_ROWS = 256
RESIZE_RULE = "squash-area"

SCAN, MAX_SCANS = b"\xff\xda", 100  # the marker that begins one; each is decoded over all pixels

# Formats of films. Other readers of Pillow start programs or are not for pictures.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")


# The luminance table of ITU-T T.81, annex K, which libjpeg scales to a quality.
_QUALITY_50 = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
)


@dataclass(frozen=True)
class Film:
    gray: Image.Image  # mode L; of a JPEG perhaps at a reduced scale
    width_px: int  # of the file
    height_px: int
    colour_mode: str
    jpeg_quality: int | None  # 1..100 on libjpeg's scale; None: not a JPEG

    @cached_property
    def pixels(self) -> Gray:
        return np.asarray(self.gray)

    def squared(self, size_px: int) -> Gray:
        """Return the pixels as [size_px, size_px], by the project's rule."""
        if self.gray.size == (size_px, size_px):
            return self.pixels
        return np.asarray(_resize(self.gray, size_px))


# What Pillow's readers raise on damaged bytes.
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


def decode(data: bytes, max_pixels: int, min_side_px: int = 1, size_px: int | None = None) -> Film:
    """Return the film in a file's bytes.

    Args:
        size_px: the size to which the film will be resized; None decodes every pixel.

    Raises:
        ImageError: not an image, truncated, more than `max_pixels` by its header (nothing is
            decoded then), a side below `min_side_px`, several frames, or an unknown pixel type.
    """
    if not data:
        raise ImageError("empty file")
    try:
        with warnings.catch_warnings():  # our own limit counts
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > max_pixels:
            raise ImageError(f"oversized: {width} x {height} pixels, at most {max_pixels} allowed")
        if min(width, height) < min_side_px:
            raise ImageError(f"too small: {width} x {height} pixels")
        if _has_second_frame(image):
            raise ImageError("several frames, not one film")
        if image.format == "JPEG" and data.count(SCAN) > MAX_SCANS:
            raise ImageError(f"a JPEG of more than {MAX_SCANS} scans, which no film needs")
        mode, quality = image.mode, _jpeg_quality(image)
        image.draft("L", (size_px, size_px) if size_px else image.size)
        return Film(_to_gray(image), width, height, mode, quality)
    except UnidentifiedImageError as error:
        raise ImageError("not an image") from error
    except Image.DecompressionBombError as error:
        raise ImageError("oversized: the header claims a decompression bomb") from error
    except _DAMAGE as error:
        raise ImageError(f"cannot be decoded: {error}") from error


def _has_second_frame(image: Image.Image) -> bool:
    """Counting the frames of a crafted file takes minutes; looking for a second one does not."""
    try:
        image.seek(1)
    except EOFError:
        return False
    finally:
        image.seek(0)
    return True


def _to_gray(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        levels = np.asarray(image, dtype=np.uint32) // 257
        return Image.fromarray(levels.astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise ImageError(f"unknown pixel type {image.mode}")
    image.load()
    return image if image.mode == "L" else image.convert("L")


def _jpeg_quality(image: Image.Image) -> int | None:
    """Return the median quality of the luminance table's entries, by libjpeg's formula."""
    tables = getattr(image, "quantization", None)
    if image.format != "JPEG" or not tables or len(tables[min(tables)]) != 64:
        return None
    scale = float(np.median(100 * np.array(tables[min(tables)]) / _QUALITY_50))
    return round(min(max(100 - scale / 2 if scale <= 100 else 5000 / scale, 1), 100))


def content_sha256(images: Stack) -> str:
    """Return the SHA-256 of all rows, read in blocks."""
    digest = hashlib.sha256(repr(images.shape).encode())
    for start in range(0, len(images), HASHED_ROWS):
        digest.update(np.ascontiguousarray(images[start : start + HASHED_ROWS]).data)
    return digest.hexdigest()


def resize(pixels: Gray, size_px: int) -> Gray:
    """Resize [H, W] to [size_px, size_px] by the project's rule."""
    if pixels.shape == (size_px, size_px):
        return pixels
    return np.asarray(_resize(Image.fromarray(pixels), size_px))


def _resize(image: Image.Image, size_px: int) -> Image.Image:
    shrinks = min(image.size) > size_px
    rule = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return image.resize((size_px, size_px), rule)
