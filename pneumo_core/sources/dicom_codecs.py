"""Decode the stored values of a DICOM film, after a look at the size that its codestream states.

pydicom reads uncompressed values, imagecodecs all compressions (ADR 26).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pneumo_core.data.codestreams import Frame, jpeg2000_frame, jpeg_frame

Values = npt.NDArray[Any]  # [H, W], integers

_STANDARD = "1.2.840.10008.1.2"  # the root of transfer syntaxes; alone, implicit VR
_UNCOMPRESSED = {_STANDARD, f"{_STANDARD}.1", f"{_STANDARD}.2"}
_RLE = f"{_STANDARD}.5"
_UNNAMED = {  # by pydicom 3.0
    f"{_STANDARD}.4.110": "JPEG XL Lossless",
    f"{_STANDARD}.4.111": "JPEG XL JPEG Recompression",
    f"{_STANDARD}.4.112": "JPEG XL",
    f"{_STANDARD}.8.1": "Deflated Image Frame Compression",
}


@dataclass(frozen=True)
class Codec:
    function: str  # of imagecodecs
    frame: Callable[[bytes], Frame]  # reads the header of a codestream


_JPEG = Codec("jpeg8_decode", jpeg_frame)  # of 8 and 12 bits, and lossless to 16
_JPEG_LS = Codec("jpegls_decode", jpeg_frame)
_JPEG_2000 = Codec("jpeg2k_decode", jpeg2000_frame)  # and HTJ2K
_CODECS: Mapping[str, Codec] = {
    **{f"{_STANDARD}.4.{number}": _JPEG for number in (50, 51, 57, 70)},
    **{f"{_STANDARD}.4.{number}": _JPEG_LS for number in (80, 81)},
    **{f"{_STANDARD}.4.{number}": _JPEG_2000 for number in (90, 91, 201, 202, 203)},
}
_LOSSY = {f"{_STANDARD}.4.{number}" for number in (50, 51, 81, 91, 203)}


def decode_frame(header: Any) -> Values:
    """Return the stored values of the film in a data set.

    Raises:
        OSError: a transfer syntax that nothing here decodes, or pixels that cannot be decoded or
            whose codestream has another size than the header; the message quotes nothing of them.
    """
    syntax, name = _syntax(header), syntax_name(header)
    if syntax not in {*_UNCOMPRESSED, _RLE, *_CODECS}:
        raise OSError(
            f"DICOM in {name}, which neither pydicom nor imagecodecs decodes: export the film "
            "uncompressed or in JPEG 2000"
        )
    try:
        if header["PixelData"].is_undefined_length != (syntax not in _UNCOMPRESSED):
            raise _ContradictionError(f"pixels are not stored as in {name}, its transfer syntax")
        if syntax in _UNCOMPRESSED:
            return _uncompressed(header)
        return _interpreted(_decompressed(header, syntax), header, syntax in _LOSSY)
    except _ContradictionError as error:
        raise OSError(f"DICOM whose {error}") from None
    except Exception:  # errors of both libraries share no root, and quote the file
        package = "pydicom" if syntax in _UNCOMPRESSED else "imagecodecs"
        raise OSError(f"DICOM pixels cannot be decoded ({name}, by {package})") from None


def syntax_name(header: Any) -> str:
    """Return the name of the transfer syntax, and no text that is not in the standard."""
    from pydicom.uid import UID

    syntax = _syntax(header)
    name = _UNNAMED.get(syntax) or str(UID(syntax).name)
    return "an unknown transfer syntax" if name == syntax else name


class _ContradictionError(Exception):
    """A header that its pixels contradict; the text quotes nothing of them."""


def _syntax(header: Any) -> str:
    """Return the UID of the transfer syntax; a data set without one shows how it is encoded."""
    stated = header.file_meta.get("TransferSyntaxUID")
    if stated:
        return str(stated)
    is_implicit, is_little_endian = header.original_encoding
    if is_implicit:
        return _STANDARD
    return f"{_STANDARD}.1" if is_little_endian else f"{_STANDARD}.2"


def _uncompressed(header: Any) -> Values:
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID

    header.file_meta.TransferSyntaxUID = UID(_syntax(header))
    values: Values = pixel_array(header)
    return values


def _decompressed(header: Any, syntax: str) -> Values:
    import imagecodecs
    from pydicom.encaps import get_frame

    shape = int(header.Rows), int(header.Columns)
    stream = get_frame(header.PixelData, 0, number_of_frames=1)
    if syntax == _RLE:
        dtype = np.dtype(f"<u{int(header.BitsAllocated) // 8}")
        data = imagecodecs.dicomrle_decode(stream, dtype, out=int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)
    codec = _CODECS[syntax]
    if codec.frame(stream) != Frame(shape[1], shape[0], 1):
        raise _ContradictionError(f"{syntax_name(header)} has another size than its header says")
    values: Values = getattr(imagecodecs, codec.function)(stream)
    return values.reshape(shape)


def _interpreted(values: Values, header: Any, lossy: bool) -> Values:
    """Return values by the header's bits and sign, whatever the codestream says of its own."""
    bits, signed = int(header.BitsStored), bool(header.PixelRepresentation)
    if lossy and signed == (values.dtype.kind == "i"):  # compression may exceed the film's range
        low = -(2 ** (bits - 1)) if signed else 0
        clipped: Values = np.clip(values.astype(np.int32), low, low + 2**bits - 1)
        return clipped
    meant: Values = values.astype(np.int32) & (2**bits - 1)
    if signed:
        meant -= (meant >> (bits - 1)) << bits
    return meant
