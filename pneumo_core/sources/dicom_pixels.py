"""Render a DICOM file as an 8-bit gray PNG, as a viewer shows it first.

The steps: modality rescale or table, the first VOI window or table (PS3.3 C.11.1 and C.11.2),
inversion if small values are white (MONOCHROME1). Without a window, 8-bit values stay as they are
and deeper ones are stretched from the lowest to the highest.
"""

import io
import logging
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Gray
from pneumo_core.sources.png import encode_png

MAX_PIXELS = 100_000_000  # by the header, before decoding
# The elements of the header that are read; no other is.
NEEDED = [
    "SOPClassUID",
    "PixelData",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "PixelRepresentation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "BurnedInAnnotation",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
]

Values = npt.NDArray[Any]  # [H, W]

DEFLATED = b"1.2.840.10008.1.2.1.99"  # a transfer syntax


def render(file: Path | BinaryIO, max_pixels: int = MAX_PIXELS) -> bytes:
    """Return the film as the bytes of a PNG.

    Raises:
        OSError: not a DICOM film that can be shown; the message quotes nothing of the file.
    """
    data = file.read_bytes() if isinstance(file, Path) else file.read()
    if DEFLATED in data:
        raise OSError("deflated DICOM, which may unpack to any size: store it uncompressed")
    header = read_header(io.BytesIO(data), NEEDED)
    if (reason := _why_not(header, max_pixels)) is not None:
        raise OSError(reason)
    try:
        return encode_png(_show(header))
    except Exception:  # pydicom's errors share no root, and quote the patient's name
        raise OSError(f"DICOM pixels cannot be decoded ({_transfer_syntax(header)})") from None


def read_header(file: Path | BinaryIO, keywords: list[str], pixels: bool = True) -> Any:
    """Return pydicom's data set of these keywords.

    Raises:
        OSError: it cannot be read; the message quotes nothing of the file.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it logs what it cannot read
    try:
        with warnings.catch_warnings():  # warnings quote the header
            warnings.simplefilter("ignore")
            return dcmread(file, stop_before_pixels=not pixels, specific_tags=list(keywords))
    except InvalidDicomError:
        raise OSError("not a DICOM file: the marker DICM is missing") from None
    except Exception:  # pydicom's errors share no root, and quote the patient's name
        raise OSError("the DICOM header cannot be read") from None


def _why_not(header: Any, max_pixels: int) -> str | None:
    try:
        return _objection(header, max_pixels)
    except Exception:  # a value is converted as it is asked for, and may be damaged
        return "the DICOM header cannot be read"


def _objection(header: Any, max_pixels: int) -> str | None:
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
        return f"DICOM in {kind}, not in shades of gray"
    return None


def _transfer_syntax(header: Any) -> str:
    try:
        return str(header.file_meta.TransferSyntaxUID.name)
    except AttributeError:
        return "transfer syntax not stated"


def _show(header: Any) -> Gray:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi
    from pydicom.pixels.utils import pixel_array

    stored = pixel_array(header)
    values = apply_modality_lut(stored, header)
    if header.get("VOILUTSequence"):
        depth = int(header.VOILUTSequence[0].LUTDescriptor[2])
        shown = apply_voi(values.astype(np.int64), header) / (2**depth - 1)
    elif header.get("WindowWidth") is not None and header.get("WindowCenter") is not None:
        centre, width = _first(header.WindowCenter), _first(header.WindowWidth)
        shown = window(values, centre, width, str(header.get("VOILUTFunction") or "LINEAR"))
    elif int(header.BitsStored) <= 8 and values is stored and header.PixelRepresentation == 0:
        shown = values / (2 ** int(header.BitsStored) - 1)
    else:
        low, high = float(values.min()), float(values.max())
        shown = (values - low) / max(high - low, 1e-9)
    gray: Gray = np.rint(np.clip(shown, 0, 1) * 255).astype(np.uint8)
    return 255 - gray if header.PhotometricInterpretation == "MONOCHROME1" else gray


def _first(value: Any) -> float:
    """Return the value, or the first of several."""
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def window(values: Values, centre: float, width: float, function: str) -> npt.NDArray[np.float64]:
    """Map values to 0..1, not yet clipped, by the functions of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    width = max(width, 1e-9)
    if function == "SIGMOID":
        return (1 + np.tanh(2 * (values - centre) / width)) / 2
    if function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    return (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5
