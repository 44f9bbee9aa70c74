"""Compressed films, encoded here, give the stored values; nothing else is decoded."""

import io
import resource
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from pneumo_core.sources.dicom_codecs import decode_frame
from pneumo_core.sources.dicom_pixels import NEEDED, read_header

WriteDicom = Callable[..., Path]
Encode = Callable[[Any], bytes]

TWELVE_BITS = {"BitsStored": 12, "HighBit": 11}


def _smooth(top: int, dtype: type) -> Any:
    y, x = np.mgrid[:51, :43]
    return ((1 + np.sin(x / 9) * np.cos(y / 7)) / 2 * top).astype(dtype)


def _jpeg_2000(pixels: Any) -> bytes:
    return imagecodecs.jpeg2k_encode(pixels, codecformat="J2K", reversible=True, bitspersample=12)


def _decoded(path: Path) -> Any:
    return decode_frame(read_header(path, NEEDED))


def _compressed(tmp_path: Path, write_dicom: WriteDicom, stream: bytes, **header: Any) -> Path:
    pixels = np.zeros((51, 43), np.uint8 if header.get("BitsAllocated") == 8 else np.uint16)
    header = {"PixelData": encapsulate([stream])} | header
    return write_dicom(tmp_path / "film.dcm", pixels, **header)


LOSSY = 30  # levels of 4,095
SYNTAXES: dict[str, tuple[Any, Encode, int]] = {
    "JPEG 12 bits": (
        JPEGExtended12Bit,
        lambda p: imagecodecs.jpeg8_encode(p, level=95, bitspersample=12),
        LOSSY,
    ),
    "JPEG lossless": (JPEGLossless, lambda p: imagecodecs.ljpeg_encode(p, bitspersample=12), 0),
    "JPEG lossless SV1": (
        JPEGLosslessSV1,
        lambda p: imagecodecs.jpeg8_encode(p, lossless=True, predictor=1, bitspersample=12),
        0,
    ),
    "JPEG-LS": (JPEGLSLossless, imagecodecs.jpegls_encode, 0),
    "JPEG-LS near": (JPEGLSNearLossless, lambda p: imagecodecs.jpegls_encode(p, level=2), 2),
    "JPEG 2000": (JPEG2000Lossless, _jpeg_2000, 0),
    "JPEG 2000 lossy": (
        JPEG2000,
        lambda p: imagecodecs.jpeg2k_encode(p, level=60, codecformat="J2K", bitspersample=12),
        LOSSY,
    ),
    "HTJ2K": (HTJ2K, lambda p: imagecodecs.htj2k_encode(p, reversible=True), 0),
    "HTJ2K lossless": (HTJ2KLossless, lambda p: imagecodecs.htj2k_encode(p, reversible=True), 0),
}


@pytest.mark.parametrize("name", SYNTAXES)
def test_compressed_values_are_those_that_were_encoded(
    tmp_path: Path, write_dicom: WriteDicom, name: str
) -> None:
    syntax, encode, tolerance = SYNTAXES[name]
    pixels = _smooth(4095, np.uint16)
    header = TWELVE_BITS | {"TransferSyntaxUID": syntax}
    found = _decoded(_compressed(tmp_path, write_dicom, encode(pixels), **header))
    assert found.shape == pixels.shape
    assert np.abs(found.astype(int) - pixels).max() <= tolerance


def test_jpeg_of_8_bits_is_read(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = _smooth(255, np.uint8)
    path = _compressed(
        tmp_path, write_dicom, imagecodecs.jpeg8_encode(pixels, level=95),
        TransferSyntaxUID=JPEGBaseline8Bit, BitsAllocated=8, BitsStored=8, HighBit=7,
    )  # fmt: skip
    assert np.abs(_decoded(path).astype(int) - pixels).max() <= 3


@pytest.mark.parametrize(("allocated", "signed"), [(8, False), (16, False), (16, True)])
def test_rle_is_read(tmp_path: Path, write_dicom: WriteDicom, allocated: int, signed: bool) -> None:
    pixels = _smooth(250, np.uint8 if allocated == 8 else np.int16 if signed else np.uint16)
    pixels = pixels - 100 if signed else pixels
    path = write_dicom(tmp_path / "film.dcm", pixels)
    data_set = dcmread(path)
    data_set.compress(RLELossless)
    data_set.save_as(path)
    np.testing.assert_array_equal(_decoded(path), pixels)


@pytest.mark.parametrize("signed", [False, True])
def test_a_lossy_value_above_white_stays_white(
    tmp_path: Path, write_dicom: WriteDicom, signed: bool
) -> None:
    """A codestream of 16 bits may exceed the 12 of the film, by what compression costs."""
    low = -2048 if signed else 0
    pixels = _smooth(4095, np.int16) + np.int16(low)
    pixels[:9] = low + 4095
    stored = pixels.copy()
    stored[:9] += 3
    stream = imagecodecs.jpeg2k_encode(
        stored if signed else stored.astype(np.uint16), codecformat="J2K", reversible=True
    )
    header = TWELVE_BITS | {"PixelRepresentation": int(signed), "TransferSyntaxUID": JPEG2000}
    found = _decoded(_compressed(tmp_path, write_dicom, stream, **header))
    np.testing.assert_array_equal(found, pixels)


def test_the_header_says_the_sign(tmp_path: Path, write_dicom: WriteDicom) -> None:
    """Codestreams of JPEG and JPEG-LS have no sign: a negative value is in the bits as stored."""
    pixels = _smooth(4095, np.int16) - 2048
    stream = imagecodecs.jpegls_encode((pixels & 0xFFF).astype(np.uint16))
    header = TWELVE_BITS | {"PixelRepresentation": 1, "TransferSyntaxUID": JPEGLSLossless}
    found = _decoded(_compressed(tmp_path, write_dicom, stream, **header))
    np.testing.assert_array_equal(found, pixels)


def test_a_film_in_several_fragments_is_one_film(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = _smooth(4095, np.uint16)
    stream = imagecodecs.jpegls_encode(pixels)
    header = TWELVE_BITS | {"TransferSyntaxUID": JPEGLSLossless}
    header["PixelData"] = encapsulate([stream], fragments_per_frame=3)
    found = _decoded(_compressed(tmp_path, write_dicom, stream, **header))
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "JPEG2000.dcm",
        "J2K_pixelrep_mismatch.dcm",
        "693_J2KI.dcm",
        "CT_small.dcm",
    ],
)
def test_files_of_other_makers_are_read_as_by_pydicom(name: str) -> None:
    path = Path(str(get_testdata_file(name, download=False)))
    if "jpeg_ls" in name:  # pydicom has no decoder of its own; it is the same film
        expected = dcmread(str(get_testdata_file("MR_small.dcm", download=False))).pixel_array
    else:
        expected = dcmread(path).pixel_array
    np.testing.assert_array_equal(_decoded(path), expected)


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
        ("1.2.840.10008.1.2.4.53", "JPEG Spectral Selection"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4"),
        ("1.2.840.113619.5.2", "an unknown transfer syntax"),
    ],
)
def test_what_nothing_decodes_is_refused_by_name(
    tmp_path: Path, write_dicom: WriteDicom, syntax: str, name: str
) -> None:
    path = _compressed(tmp_path, write_dicom, bytes(64), TransferSyntaxUID=JPEG2000)
    header = read_header(path, NEEDED)
    header.file_meta.TransferSyntaxUID = syntax
    with pytest.raises(OSError, match=rf"DICOM in {name}.*neither pydicom nor imagecodecs"):
        decode_frame(header)


@pytest.mark.parametrize("name", SYNTAXES)
def test_a_damaged_codestream_is_refused_by_name(
    tmp_path: Path, write_dicom: WriteDicom, name: str
) -> None:
    syntax, encode, _ = SYNTAXES[name]
    header = TWELVE_BITS | {"TransferSyntaxUID": syntax}
    stream = encode(_smooth(4095, np.uint16))
    path = _compressed(tmp_path, write_dicom, stream[:9] + bytes(50), **header)
    with pytest.raises(OSError, match=r"^DICOM.*(imagecodecs|another size)"):
        _decoded(path)


def _with_size(stream: bytes, place: int, form: str, *size: int) -> bytes:
    changed = bytearray(stream)
    struct.pack_into(form, changed, place, *size)
    return bytes(changed)


@pytest.mark.parametrize("name", ["JPEG 12 bits", "JPEG lossless", "JPEG-LS", "JPEG 2000", "HTJ2K"])
def test_a_codestream_larger_than_its_header_is_not_decoded(
    tmp_path: Path, write_dicom: WriteDicom, name: str
) -> None:
    syntax, encode, _ = SYNTAXES[name]
    stream = encode(_smooth(4095, np.uint16))
    if name in {"JPEG 2000", "HTJ2K"}:
        huge = _with_size(stream, 8, ">2I", 30_000, 30_000)
    else:
        place = stream.index(struct.pack(">HH", 51, 43))
        huge = _with_size(stream, place, ">HH", 30_000, 30_000)
    path = _compressed(tmp_path, write_dicom, huge, **TWELVE_BITS, TransferSyntaxUID=syntax)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OSError, match="has another size than its header says"):
        _decoded(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_rle_that_unpacks_to_more_than_the_film_is_refused(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    bomb = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * 2_000_000
    path = _compressed(tmp_path, write_dicom, bomb, TransferSyntaxUID=RLELossless)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OSError, match=r"cannot be decoded .RLE Lossless, by imagecodecs"):
        _decoded(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


def test_a_transfer_syntax_that_its_pixels_contradict_is_refused(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    pixels = _smooth(4095, np.uint16)
    path = write_dicom(tmp_path / "film.dcm", pixels, **TWELVE_BITS)
    data = path.read_bytes()
    assert data.count(b"1.2.840.10008.1.2.1\0") == 1
    changed = data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
    with pytest.raises(OSError, match="pixels are not stored as in RLE Lossless"):
        decode_frame(read_header(io.BytesIO(changed), NEEDED))
