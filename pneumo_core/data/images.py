"""Decode a file to gray pixels, and resize by the one rule of the project.

Gray: 8 bits, luma of ITU-R 601. Deeper images are scaled from black at 0 to white, which is the
largest value of 8, 10, 12, 14 or 16 bits, the first that no pixel exceeds (1 in floating point).
A picture is shown as its file says: upright (EXIF orientation), positive (TIFF WhiteIsZero).
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
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from pneumo_core.arrays import Gray, Stack
from pneumo_core.data.codestreams import jp2_frame
from pneumo_core.errors import ImageError

HASHED_ROWS = 256
RESIZE_RULE = "squash-area"

MAX_SCANS = 100  # of a JPEG; each is decoded over all pixels

# Formats of films. Other readers of Pillow start programs or are not for pictures.
FORMATS = ("JPEG", "JPEG2000", "PNG", "TIFF", "BMP", "GIF", "WEBP")
WHITES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1  # the TIFF tag PhotometricInterpretation

# Pillow knows fewer depths where white is zero, and leaves those of more than 8 bits negative.
for _kind, _modes in list(TiffImagePlugin.OPEN_INFO.items()):
    if _kind[1] == BLACK_IS_ZERO and _modes[0][0] in "IF":
        _negative = (_kind[0], WHITE_IS_ZERO, _kind[2], _kind[3], _kind[4], _kind[5])
        TiffImagePlugin.OPEN_INFO.setdefault(_negative, _modes)

UPRIGHT = 1  # EXIF orientation
_TURNS = {  # what turns another orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAPPING_SIDES = {_TURNS[orientation] for orientation in (5, 6, 7, 8)}

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
    width_px: int  # of the file, upright
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
            decoded then), a side below `min_side_px`, several frames, or pixel values whose white
            is not known.
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
        if image.format == "JPEG" and _num_scans(data) > MAX_SCANS:
            raise ImageError(f"a JPEG of more than {MAX_SCANS} scans, which no film needs")
        if image.format == "JPEG2000" and jp2_frame(data).size != image.size:
            raise ImageError("a JPEG 2000 whose codestream has another size than its header says")
        mode, quality = image.mode, _jpeg_quality(image)
        image.draft("L", (size_px, size_px) if size_px else image.size)
        gray = _to_gray(image)
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, UPRIGHT))
        if turn is not None:
            gray = gray.transpose(turn)
        if turn in _SWAPPING_SIDES:
            width, height = height, width
        return Film(gray, width, height, mode, quality)
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


def _num_scans(jpeg: bytes) -> int:
    """Return how often the marker that begins a scan stands in the bytes of a JPEG.

    NumPy takes a sixth of the time of `bytes.count`, and other threads work meanwhile.
    """
    values = np.frombuffer(jpeg, np.uint8)
    return int(np.count_nonzero((values[:-1] == 0xFF) & (values[1:] == 0xDA)))


def _to_gray(image: Image.Image) -> Image.Image:
    negative = (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO
    )
    image.load()  # turns a TIFF upright
    if image.mode[0] in "IF":
        return Image.fromarray(_scaled(np.asarray(image), negative))
    return image if image.mode == "L" else image.convert("L")


def _scaled(values: npt.NDArray[Any], negative: bool) -> Gray:
    """Return values of more than 8 bits as 8 bits; raise ImageError if their white is not known."""
    low, high = values.min(), values.max()
    whites = (1, *WHITES) if values.dtype.kind == "f" else WHITES
    white = next((white for white in whites if high <= white), None)
    if white is None or low < 0:
        raise ImageError(
            f"pixel values from {low:g} to {high:g}: save the film with values from 0 to 65535, "
            "or from 0 to 1 in floating point"
        )
    positive = white - values if negative else values
    if values.dtype.kind == "f":
        gray: Gray = np.rint(positive * (255 / white)).astype(np.uint8)
    else:
        gray = (positive.astype(np.uint32) * 255 // white).astype(np.uint8)
    return gray


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
