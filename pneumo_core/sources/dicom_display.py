"""Which gray level a viewer shows for each stored value of a DICOM film.

The steps of PS3.3: modality rescale or table (C.11.1), VOI table or window (C.11.2), inversion
(MONOCHROME1, or PresentationLUTShape INVERSE). Every step maps single values, so they are computed
once for each value that 16 bits can have, not for each pixel. docs/data.md has the table of rules.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Gray
from pneumo_core.sources.dicom_codecs import Values

Levels = npt.NDArray[Any]  # one for each stored value between the lowest and the highest
Mask = npt.NDArray[np.bool_]

# What is read of the header.
DISPLAY_TAGS = [
    "PhotometricInterpretation",
    "PixelRepresentation",
    "BitsStored",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "PresentationLUTShape",
]


def show(stored: Values, header: Any) -> Gray:
    """Return the stored values [H, W] as a viewer shows them first.

    Raises whatever pydicom and NumPy raise on a damaged value of the header.
    """
    low, high = int(stored.min()), int(stored.max())
    index = stored.astype(np.int32) - low
    every = np.arange(low, high + 1)
    padding = _is_padding(every, header)
    present = np.zeros(len(every), np.bool_)
    present[index] = True
    shares = np.clip(_shares(every, present & ~padding, header), 0, 1)
    levels = np.rint(255 * (1 - shares if _is_inverted(header) else shares)).astype(np.uint8)
    levels[padding] = 0
    gray: Gray = levels[index]
    return gray


def _is_inverted(header: Any) -> bool:
    # Some DX films say MONOCHROME1 and IDENTITY: of the two, the first is right.
    shape = str(header.get("PresentationLUTShape") or "").strip()
    return header.PhotometricInterpretation == "MONOCHROME1" or shape == "INVERSE"


def _is_padding(every: Values, header: Any) -> Mask:
    limits = _numbers(header, "PixelPaddingValue")
    if not limits:
        return np.zeros(len(every), np.bool_)
    limits += _numbers(header, "PixelPaddingRangeLimit")
    bits = int(header.BitsStored)
    if header.PixelRepresentation:  # some files give a negative value as unsigned, or the reverse
        limits = [(limit + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1) for limit in limits]
    else:
        limits = [limit % 2**bits for limit in limits]
    return (every >= min(limits)) & (every <= max(limits))


def _shares(every: Values, present: Mask, header: Any) -> Levels:
    """Return 0 for black to 1 for white, not yet clipped, before any inversion."""
    values = _modality(every, header)
    if header.get("VOILUTSequence"):
        table = header.VOILUTSequence[0]
        return np.asarray(_table(table, np.rint(values), header) / _white(table, header))
    function = str(header.get("VOILUTFunction") or "LINEAR").strip()
    centres, widths = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    for centre, width in zip(centres, widths, strict=False):
        if width >= 1 or (width > 0 and function != "LINEAR"):
            return window(values, centre, width, function)
    if int(header.BitsStored) <= 8 and values is every and not header.PixelRepresentation:
        low, high = 0.0, 2.0 ** int(header.BitsStored) - 1
    else:
        shown = values[present] if present.any() else values
        low, high = float(shown.min()), float(shown.max())
    return np.asarray((values - low) / max(high - low, 1e-9))


def _modality(every: Values, header: Any) -> Levels:
    if header.get("ModalityLUTSequence"):
        return _table(header.ModalityLUTSequence[0], every, header)
    slope = next(iter(_numbers(header, "RescaleSlope")), 1.0)
    intercept = next(iter(_numbers(header, "RescaleIntercept")), 0.0)
    return every if (slope, intercept) == (1, 0) else every * slope + intercept


def window(values: Levels, centre: float, width: float, function: str) -> Levels:
    """Map values to 0..1, not yet clipped, by the functions of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        return (1 + np.tanh(2 * (values - centre) / width)) / 2
    if function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    return (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5


def _table(item: Any, values: Levels, header: Any) -> Values:
    """Return the entries of a table of the header for these values."""
    entries = _entries(item, header)
    first = int(item.LUTDescriptor[1])
    if first >= 2**15 and header.PixelRepresentation:  # a negative value that is given as unsigned
        first -= 2**16
    place = np.clip(np.asarray(values, np.int64) - first, 0, len(entries) - 1)
    return entries[place]


def _entries(item: Any, header: Any) -> Values:
    number = int(item.LUTDescriptor[0]) or 2**16
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if header.original_encoding[1] else ">"
        data = np.frombuffer(data, f"{order}u2" if len(data) >= 2 * number else np.uint8)
    entries = np.atleast_1d(np.asarray(data))[:number].astype(np.int64)
    if len(entries) < number:
        raise ValueError("a table shorter than its descriptor says")
    return entries


def _white(item: Any, header: Any) -> float:
    """Return the white of a VOI table.

    The stated bits count, unless the table needs more or leaves three quarters of them unused:
    Agfa states 16 bits for tables that end at 4095.
    """
    stated, used = int(item.LUTDescriptor[2]), int(_entries(item, header).max()).bit_length()
    bits = stated if stated - 1 <= used <= stated else max(used, 1)
    return 2.0**bits - 1


def _numbers(header: Any, keyword: str) -> list[float]:
    """Return the value, several or none, as numbers."""
    value = header.get(keyword)
    if value is None or value == "":
        return []
    several = hasattr(value, "__len__") and not isinstance(value, str)
    return [float(each) for each in (value if several else [value])]
