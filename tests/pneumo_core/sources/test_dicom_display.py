"""Each rule of display on a file made here, compared with pydicom's own pipeline or a formula."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from pneumo_core.data.images import decode
from pneumo_core.sources.dicom_display import show, window
from pneumo_core.sources.dicom_pixels import render

WriteDicom = Callable[..., Path]

RAMP = np.arange(0, 4096, 273, dtype=np.uint16).reshape(4, 4)  # 0, 273, ... 4095
FILM = np.random.default_rng(0).integers(0, 4096, (40, 30), dtype=np.uint16)
TWELVE_BITS = {"BitsStored": 12, "HighBit": 11}


def _pixels(write_dicom: WriteDicom, tmp_path: Path, pixels: Any, **header: Any) -> Any:
    data = render(write_dicom(tmp_path / "film.dcm", pixels, **header))
    return decode(data, max_pixels=10**6).pixels


def _listed(*given: Any, **header: Any) -> list[int]:
    shown: list[int] = _pixels(*given, **header).ravel().tolist()
    return shown


def _table(entries: Any, bits: int, first: int = 0, order: str = "<") -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.ModalityLUTType = "US"
    item.add_new("LUTData", "OW", np.asarray(entries).astype(f"{order}u2").tobytes())
    return Sequence([item])


def _s_shape(top: int) -> Any:
    """A film's curve over 4,096 values."""
    curve = 1 / (1 + np.exp(-np.linspace(-4, 4, 4096)))
    return np.rint((curve - curve[0]) / (curve[-1] - curve[0]) * top)


@pytest.mark.parametrize(
    "header",
    [
        {"WindowCenter": 2048, "WindowWidth": 4096},
        {"WindowCenter": 1500, "WindowWidth": 1000},
        {"WindowCenter": 1500, "WindowWidth": 1},
        {"WindowCenter": [1500, 9], "WindowWidth": [1000, 1]},
        {"WindowCenter": 1500, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 1500, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 128, "WindowWidth": 256},  # of 8 bits, on 12
        {"VOILUTSequence": _table(_s_shape(4095), 12)},
        {"VOILUTSequence": _table(_s_shape(65535), 16)},
        {"VOILUTSequence": _table(_s_shape(4095)[::-1], 12), "WindowCenter": 1, "WindowWidth": 2},
        {"VOILUTSequence": _table(_s_shape(1023)[:2000], 10, first=500)},
    ],
    ids=lambda header: ", ".join(f"{key} {value}"[:40] for key, value in header.items()),
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
def test_a_film_is_shown_as_by_pydicom(
    tmp_path: Path,
    write_dicom: WriteDicom,
    header: dict[str, Any],
    photometric: str,
    shape: str | None,
) -> None:
    header = TWELVE_BITS | {"PhotometricInterpretation": photometric} | header
    if shape:
        header["PresentationLUTShape"] = shape
    shown = _pixels(write_dicom, tmp_path, FILM, **header)
    data_set = dcmread(tmp_path / "film.dcm")
    table = data_set.get("VOILUTSequence")
    white = 2 ** (table[0].LUTDescriptor[2] if table else 12) - 1
    expected = apply_voi_lut(apply_modality_lut(data_set.pixel_array, data_set), data_set) / white
    if "MONOCHROME1" in photometric or shape == "INVERSE":
        expected = 1 - expected
    assert np.abs(shown - 255 * expected).max() <= 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, [17 * i for i in range(16)]),
        ({"PhotometricInterpretation": "MONOCHROME1"}, [255 - 17 * i for i in range(16)]),
        ({"PresentationLUTShape": "INVERSE"}, [255 - 17 * i for i in range(16)]),
        # window from 1023.5 to 3071.5 (LINEAR is half a value off and one narrower)
        (
            {"WindowCenter": 2048, "WindowWidth": 2049},
            [0] * 4 + [round((273 * i - 1023.5) / 2048 * 255) for i in range(4, 12)] + [255] * 4,
        ),
        # values of -1000 to 7190, of which 0 to 2000 are shown
        (
            {"RescaleSlope": 2, "RescaleIntercept": -1000}
            | {"WindowCenter": 1000.5, "WindowWidth": 2001},
            [min(max(round((546 * i - 1000) / 2000 * 255), 0), 255) for i in range(16)],
        ),
        ({"RescaleSlope": -1, "RescaleIntercept": 0}, [255 - 17 * i for i in range(16)]),
        ({"RescaleSlope": -10}, [255 - 17 * i for i in range(16)]),
        ({"WindowCenter": None, "WindowWidth": 4096}, [17 * i for i in range(16)]),
        ({"WindowCenter": "", "WindowWidth": ""}, [17 * i for i in range(16)]),
        ({"WindowCenter": 2048, "WindowWidth": 0}, [17 * i for i in range(16)]),
        ({"WindowCenter": 2048, "WindowWidth": -9}, [17 * i for i in range(16)]),
        (
            {"WindowCenter": [7, 2048], "WindowWidth": [0, 4096]},
            [min(round((273 * i + 0.5) / 4095 * 255), 255) for i in range(16)],
        ),
        (
            {"ModalityLUTSequence": _table([0] * 1000 + [500] * 3096, 12)},
            [0] * 4 + [255] * 12,
        ),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_values_are_shown_as_the_standard_says(
    tmp_path: Path, write_dicom: WriteDicom, header: dict[str, Any], expected: list[int]
) -> None:
    assert _listed(write_dicom, tmp_path, RAMP, **TWELVE_BITS, **header) == expected


@pytest.mark.parametrize(("stated", "top"), [(16, 4095), (16, 1023), (12, 1023), (16, 16383)])
def test_a_table_that_ends_below_its_stated_bits_reaches_white(
    tmp_path: Path, write_dicom: WriteDicom, stated: int, top: int
) -> None:
    """Agfa's; by the descriptor alone the film is nearly black."""
    header = TWELVE_BITS | {"VOILUTSequence": _table(_s_shape(top), stated)}
    shown = _pixels(write_dicom, tmp_path, FILM, **header)
    assert np.abs(shown - 255 * _s_shape(top)[FILM] / top).max() <= 1


def test_a_table_in_big_endian_is_read() -> None:
    header = _in_memory(VOILUTSequence=_table([255, 128, 64, 0], 8, order=">"))
    header.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    assert show(np.array([[0, 1], [2, 3]]), header).tolist() == [[255, 128], [64, 0]]


def _in_memory(**values: Any) -> Dataset:
    header = Dataset()
    header.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
    header.BitsStored = 16
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize("header", [{}, {"WindowCenter": 2048, "WindowWidth": 4096}])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("value", "limit", "padded"),
    [
        (0, None, [0]),
        (65535, None, [65535]),
        (60000, 65535, [60000, 63000, 65535]),
        (65535, 60000, [60000, 65535]),
    ],
)
def test_padding_is_black_and_not_counted_for_the_window(
    tmp_path: Path, write_dicom: WriteDicom, header: dict[str, Any],
    photometric: str, value: int, limit: int | None, padded: list[int],
) -> None:  # fmt: skip
    film = FILM + 1000
    expected = _pixels(
        write_dicom, tmp_path, film, PhotometricInterpretation=photometric, **header
    ).copy()
    film[0, : len(padded)] = padded
    header = header | {"PixelPaddingValue": value, "PixelPaddingRangeLimit": limit}
    shown = _pixels(write_dicom, tmp_path, film, PhotometricInterpretation=photometric, **header)
    expected[0, : len(padded)] = 0
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize(
    ("signed", "padding", "pixels"),
    [(1, 2**16 - 2000, [-2000, 0, 500, 1000]), (0, -1, [65535, 0, 500, 1000])],
)
def test_padding_may_be_given_with_another_sign_than_the_values(
    signed: int, padding: int, pixels: list[int]
) -> None:
    header = _in_memory(PixelRepresentation=signed)
    header.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    dtype = np.int16 if signed else np.uint16
    assert show(np.array([pixels], dtype), header).tolist() == [[0, 0, 128, 255]]


def test_a_film_of_padding_alone_is_black(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.full((2, 2), 9, np.uint16)
    assert _listed(write_dicom, tmp_path, pixels, PixelPaddingValue=9) == [0] * 4


def test_an_overlay_in_unused_bits_is_not_burned_in(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    overlaid = FILM.copy()
    overlaid[5:9, 5:9] |= 0xF000
    expected = _pixels(write_dicom, tmp_path, FILM, **TWELVE_BITS).copy()
    np.testing.assert_array_equal(_pixels(write_dicom, tmp_path, overlaid, **TWELVE_BITS), expected)


def test_sigmoid_is_half_at_its_centre() -> None:
    shown = window(np.array([0.0, 100.0, 200.0, 1e9]), 100, 50, "SIGMOID")
    expected = [1 / (1 + np.exp(8)), 0.5, 1 / (1 + np.exp(-8)), 1]
    np.testing.assert_allclose(shown, expected, rtol=1e-9)


@pytest.mark.parametrize("header", [{}, {"RescaleSlope": 1, "RescaleIntercept": 0}])
def test_eight_bits_without_a_window_stay_as_they_are(
    tmp_path: Path, write_dicom: WriteDicom, header: dict[str, Any]
) -> None:
    pixels = np.array([[10, 20], [200, 201]], np.uint8)
    assert _listed(write_dicom, tmp_path, pixels, **header) == [10, 20, 200, 201]


def test_signed_values_are_spread(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[-1000, 0], [500, 1000]], np.int16)
    assert _listed(write_dicom, tmp_path, pixels) == [0, 128, 191, 255]


def test_one_value_everywhere_is_no_error(tmp_path: Path, write_dicom: WriteDicom) -> None:
    assert _listed(write_dicom, tmp_path, np.full((2, 2), 700, np.uint16)) == [0, 0, 0, 0]


def test_table_of_values_beats_the_window(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[0, 1], [2, 3]], np.uint16)
    header = {"VOILUTSequence": _table([255, 128, 64, 0], 8), "WindowCenter": 1, "WindowWidth": 2}
    assert _listed(write_dicom, tmp_path, pixels, **header) == [255, 128, 64, 0]


def test_a_table_cut_short_is_refused(tmp_path: Path, write_dicom: WriteDicom) -> None:
    table = _table([255, 128, 64, 0], 8)
    table[0].LUTDescriptor = [4096, 0, 16]
    path = write_dicom(tmp_path / "film.dcm", RAMP, VOILUTSequence=table)
    with pytest.raises(OSError, match="window, rescale or tables cannot be applied"):
        render(path)
