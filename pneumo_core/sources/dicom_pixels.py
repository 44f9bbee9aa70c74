"""Render a DICOM file as an 8-bit gray PNG, as a viewer shows it first."""

import io
import logging
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from pneumo_core.sources.dicom_codecs import decode_frame
from pneumo_core.sources.dicom_content import CONTENT_TAGS, why_not_a_frontal_chest_film
from pneumo_core.sources.dicom_display import DISPLAY_TAGS, show
from pneumo_core.sources.png import encode_png

MAX_PIXELS = 100_000_000  # by the header, before decoding
MAX_BITS = 16
# The elements of the header that are read; no other is.
NEEDED = [
    "PixelData",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "BitsAllocated",
    "HighBit",
    "BurnedInAnnotation",
    *CONTENT_TAGS,
    *DISPLAY_TAGS,
]

MARKER, MARKER_PLACE = b"DICM", 128
# Group 2 or 8, where a data set begins that has no preamble; the last in big endian
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08\x00")
DEFLATED = b"1.2.840.10008.1.2.1.99"  # a transfer syntax


def looks_like_dicom(data: bytes) -> bool:
    """Return whether it has the marker, or begins as a data set without one."""
    return (
        data[MARKER_PLACE : MARKER_PLACE + 4] == MARKER
        or data.startswith(MARKER)
        or data.startswith(FIRST_GROUPS)
    )


def render(file: Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return the film as the bytes of a PNG.

    Raises:
        OSError: not a frontal chest film in DICOM, or one that cannot be shown; the message quotes
            nothing of the file.
    """
    data = file.read_bytes() if isinstance(file, Path) else file.read()
    if DEFLATED in data:
        raise OSError("deflated DICOM, which may unpack to any size: store it uncompressed")
    header = read_header(io.BytesIO(data), NEEDED)
    if (reason := _why_not(header, max_pixels)) is not None:
        raise OSError(reason)
    stored = decode_frame(header)
    try:
        return encode_png(show(stored, header))
    except Exception:  # pydicom's errors share no root, and quote the patient's name
        raise OSError("DICOM whose window, rescale or tables cannot be applied") from None


def read_header(file: Path | BinaryIO, keywords: list[str], pixels: bool = True) -> Any:
    """Return pydicom's data set of these keywords; preamble and marker may be missing.

    Raises:
        OSError: it cannot be read; the message quotes nothing of the file.
    """
    from pydicom import dcmread

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it logs what it cannot read
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return read_header(opened, keywords, pixels)
    beginning = file.read(MARKER_PLACE + 4)
    if not looks_like_dicom(beginning):
        raise OSError("not a DICOM file: the marker DICM is missing")
    file.seek(0)
    if beginning.startswith(MARKER):
        file = io.BytesIO(bytes(MARKER_PLACE) + file.read())
    try:
        with warnings.catch_warnings():  # warnings quote the header
            warnings.simplefilter("ignore")
            header = dcmread(
                file, stop_before_pixels=not pixels, specific_tags=list(keywords), force=True
            )
    except Exception:  # pydicom's errors share no root, and quote the patient's name
        raise OSError("the DICOM header cannot be read") from None
    return header


def _why_not(header: Any, max_pixels: int) -> str | None:
    try:
        return _objection(header, max_pixels)
    except Exception:  # a value is converted as it is asked for, and may be damaged
        return "the DICOM header cannot be read"


def _objection(header: Any, max_pixels: int) -> str | None:
    if reason := why_not_a_frontal_chest_film(header):
        return reason
    if "PixelData" not in header:
        return "DICOM without pixels"
    if (num_frames := int(header.get("NumberOfFrames") or 1)) > 1:
        return f"DICOM of {num_frames} frames, not one film"
    if str(header.get("BurnedInAnnotation", "")).upper() == "YES":
        return "DICOM with text burned into its pixels, which may name the patient"
    width, height = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
    if width * height > max_pixels:
        return f"oversized: {width} x {height} pixels, at most {max_pixels} allowed"
    kind = header.get("PhotometricInterpretation")
    if kind not in {"MONOCHROME1", "MONOCHROME2"}:
        return f"DICOM in {kind or 'colours that it does not state'}, not in shades of gray"
    return _settle_bits(header)


def _settle_bits(header: Any) -> str | None:
    """Set the bits that a header leaves out; return why they are not those of a film, or None."""
    allocated = int(header.BitsAllocated)
    high = header.get("HighBit")
    if not header.get("BitsStored"):
        header.BitsStored = allocated if high is None else high + 1
    if header.get("PixelRepresentation") is None:
        header.PixelRepresentation = 0
    stored = int(header.BitsStored)
    if allocated not in {8, MAX_BITS} or not 1 <= stored <= allocated:
        return f"DICOM of {stored} bits in {allocated}, not of 1 to 8 in 8 or 1 to 16 in 16"
    if high is not None and int(high) != stored - 1:
        return "DICOM whose pixels are not in the lowest bits (HighBit)"
    return None
