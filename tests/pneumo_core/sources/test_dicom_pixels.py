"""DICOM films as bytes of a PNG, and why a file is refused."""

import io
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pneumo_core.data.images import decode
from pneumo_core.sources.dicom_pixels import looks_like_dicom, render

WriteDicom = Callable[..., Path]

RAMP = np.arange(0, 4096, 273, dtype=np.uint16).reshape(4, 4)  # 0, 273, ... 4095


def _without_preamble(data: bytes) -> bytes:
    return data[132:]


def _without_meta(data: bytes) -> bytes:
    return data[data.index(b"\x08\x00\x16\x00") :]


def _marker_first(data: bytes) -> bytes:
    return data[128:]


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"]
)
@pytest.mark.parametrize("cut", [_without_preamble, _without_meta, _marker_first])
def test_a_data_set_without_preamble_or_meta_is_read(
    tmp_path: Path, write_dicom: WriteDicom, cut: Callable[[bytes], bytes], syntax: str
) -> None:
    header = {"BitsStored": 12, "HighBit": 11, "TransferSyntaxUID": syntax}
    path = write_dicom(tmp_path / "film.dcm", RAMP, **header)
    expected, data = render(path), cut(path.read_bytes())
    assert looks_like_dicom(data)
    assert render(io.BytesIO(data)) == expected
    path.write_bytes(data)
    assert render(path) == expected


@pytest.mark.parametrize(
    "data",
    [b"", b"DICM", b"a note to the ward", b"\x08\x00" + bytes(500), b"\x02\x00" * 300, bytes(999)],
)
def test_bytes_that_are_no_data_set_are_refused(data: bytes) -> None:
    with pytest.raises(OSError, match="DICOM"):
        render(io.BytesIO(data))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"HighBit": 15, "BitsStored": 12}, "not in the lowest bits"),
        ({"BitsStored": 17, "HighBit": 16}, "DICOM of 17 bits in 16"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "DICOM of 32 bits in 32"),
        ({"Modality": "CT"}, "another modality than CR and DX"),
        ({"BodyPartExamined": "HAND"}, "another body part than the chest"),
        ({"ViewPosition": "LATERAL"}, "another view than frontal"),
    ],
)
def test_what_is_no_film_says_why(
    tmp_path: Path, write_dicom: WriteDicom, header: dict[str, Any], reason: str
) -> None:
    with pytest.raises(OSError, match=reason):
        render(write_dicom(tmp_path / "film.dcm", RAMP, **header))


def test_bits_that_are_not_stated_are_those_allocated(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    expected = render(write_dicom(tmp_path / "a.dcm", RAMP, BitsStored=12, HighBit=11, **window))
    for header in ({"BitsStored": None}, {"BitsStored": None, "HighBit": None}):
        path = write_dicom(tmp_path / "b.dcm", RAMP, PixelRepresentation=None, **header, **window)
        shown, as_stated = (decode(each, 100).pixels for each in (render(path), expected))
        np.testing.assert_array_equal(shown, as_stated)


def test_file_cut_short_says_why(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(OSError, match="DICOM"):
        render(path)


def _reason(data: bytes) -> str | None:
    """Why the file is refused, with all that a traceback would show; None where it is shown."""
    try:
        render(io.BytesIO(data))
    except OSError as error:
        return "".join(traceback.format_exception(error))
    return None


def test_a_value_of_a_wrong_length_quotes_nobody(write_dicom: WriteDicom, tmp_path: Path) -> None:
    """pydicom's own error quotes the bytes around it, with the patient's name."""
    data = write_dicom(tmp_path / "film.dcm", RAMP).read_bytes()
    rows = b"\x28\x00\x10\x00US\x02\x00\x04\x00"
    assert rows in data
    broken = data.replace(rows, b"\x28\x00\x10\x00US\x03\x00\x04\x00\x00")
    reason = _reason(broken) or ""
    assert "header cannot be read" in reason
    assert "During handling" not in reason
    assert "direct cause" not in reason


def test_altered_files_are_shown_or_refused_and_quote_nobody(
    write_dicom: WriteDicom, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write_dicom(tmp_path / "film.dcm", RAMP).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(400):
            altered = bytearray(data)
            for place in rng.integers(132, len(data), rng.integers(1, 6)):
                altered[place] = rng.integers(256)
            reason = _reason(bytes(altered))
            refused += reason is not None
            assert "Gildong" not in (reason or "")
    assert refused > 20
    assert "Gildong" not in caplog.text


def test_deflated_data_is_refused_unread(write_dicom: WriteDicom, tmp_path: Path) -> None:
    data = write_dicom(tmp_path / "film.dcm", RAMP).read_bytes()
    plain = b"1.2.840.10008.1.2.1\x00"
    assert plain in data
    reason = _reason(data.replace(plain, b"1.2.840.10008.1.2.1.99", 1))
    assert "deflated DICOM" in (reason or "")
