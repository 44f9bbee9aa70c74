"""The pixels of a DICOM file, shown as the standard says."""

import io
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence
from pydicom.uid import JPEGLosslessSV1

from pneumo_core.data.images import decode
from pneumo_core.sources.dicom_pixels import render, window

WriteDicom = Callable[..., Path]

RAMP = np.arange(0, 4096, 273, dtype=np.uint16).reshape(4, 4)  # 0, 273, ... 4095


def _pixels(write_dicom: WriteDicom, tmp_path: Path, pixels: Any, **header: Any) -> list[int]:
    data = render(write_dicom(tmp_path / "film.dcm", pixels, **header))
    shown: list[int] = decode(data, max_pixels=100).pixels.ravel().tolist()
    return shown


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, [17 * i for i in range(16)]),
        ({"PhotometricInterpretation": "MONOCHROME1"}, [255 - 17 * i for i in range(16)]),
        # window from 1023.5 to 3071.5 (LINEAR is half a value off and one narrower)
        (
            {"WindowCenter": 2048, "WindowWidth": 2049},
            [0] * 4 + [round((273 * i - 1023.5) / 2048 * 255) for i in range(4, 12)] + [255] * 4,
        ),
        (
            {"WindowCenter": 2048, "WindowWidth": 2048, "VOILUTFunction": "LINEAR_EXACT"},
            [0] * 4 + [round((273 * i - 1024) / 2048 * 255) for i in range(4, 12)] + [255] * 4,
        ),
        (
            {"WindowCenter": [2048, 9], "WindowWidth": [2049, 1]}
            | {"PhotometricInterpretation": "MONOCHROME1"},
            [255] * 4
            + [255 - round((273 * i - 1023.5) / 2048 * 255) for i in range(4, 12)]
            + [0] * 4,
        ),
        # values of -1000 to 7190, of which 0 to 2000 are shown
        (
            {"RescaleSlope": 2, "RescaleIntercept": -1000}
            | {"WindowCenter": 1000.5, "WindowWidth": 2001},
            [min(max(round((546 * i - 1000) / 2000 * 255), 0), 255) for i in range(16)],
        ),
        ({"RescaleSlope": -1, "RescaleIntercept": 0}, [255 - 17 * i for i in range(16)]),
    ],
    ids=["spread", "inverted", "window", "exact", "first of two, inverted", "rescaled", "negative"],
)  # fmt: skip
def test_pixels_are_shown_as_the_standard_says(
    tmp_path: Path, write_dicom: WriteDicom, header: dict[str, Any], expected: list[int]
) -> None:
    header = {"BitsStored": 12, "HighBit": 11} | header
    assert _pixels(write_dicom, tmp_path, RAMP, **header) == expected


def test_sigmoid_is_half_at_its_centre() -> None:
    shown = window(np.array([0.0, 100.0, 200.0, 1e9]), 100, 50, "SIGMOID")
    expected = [1 / (1 + np.exp(8)), 0.5, 1 / (1 + np.exp(-8)), 1]
    np.testing.assert_allclose(shown, expected, rtol=1e-9)


def test_eight_bits_without_a_window_stay_as_they_are(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    pixels = np.array([[10, 20], [200, 201]], np.uint8)
    assert _pixels(write_dicom, tmp_path, pixels) == [10, 20, 200, 201]


def test_signed_values_are_spread(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[-1000, 0], [500, 1000]], np.int16)
    assert _pixels(write_dicom, tmp_path, pixels) == [0, 128, 191, 255]


def test_one_value_everywhere_is_no_error(tmp_path: Path, write_dicom: WriteDicom) -> None:
    assert _pixels(write_dicom, tmp_path, np.full((2, 2), 700, np.uint16)) == [0, 0, 0, 0]


def test_table_of_values_beats_the_window(tmp_path: Path, write_dicom: WriteDicom) -> None:
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor = [4, 0, 8]
    table.add_new("LUTData", "OW", np.array([255, 128, 64, 0], "<u2").tobytes())
    pixels = np.array([[0, 1], [2, 3]], np.uint16)
    header = {"VOILUTSequence": Sequence([table]), "WindowCenter": 1, "WindowWidth": 2}
    assert _pixels(write_dicom, tmp_path, pixels, **header) == [255, 128, 64, 0]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("MR_small_RLE.dcm", (64, 64)),
        ("JPEG2000.dcm", (1024, 256)),
        ("MR_small_bigendian.dcm", (64, 64)),
        ("CT_small.dcm", (128, 128)),
    ],
)
def test_common_transfer_syntaxes_are_read(name: str, size: tuple[int, int]) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    pixels = decode(render(Path(path)), max_pixels=10**6).pixels
    assert pixels.shape == size
    assert pixels.std() > 5


def test_unsupported_transfer_syntax_is_named(tmp_path: Path, write_dicom: WriteDicom) -> None:
    from pydicom.encaps import encapsulate

    packed = encapsulate([b"\xff\xd8\xff\xc3" + bytes(40)])
    path = write_dicom(
        tmp_path / "a.dcm",
        np.zeros((4, 4), np.uint8),
        TransferSyntaxUID=JPEGLosslessSV1,
        PixelData=packed,
    )
    with pytest.raises(OSError, match=r"cannot be decoded \(JPEG Lossless"):
        render(path)


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
