import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pneumo_core.arrays import Gray
from pneumo_core.data.images import decode, resize
from pneumo_core.errors import ImageError, NoFilmError
from pneumo_core.evaluation.reference import Reference
from pneumo_core.inference import intake

SIZE_PX = 64

Admit = Callable[[bytes], Gray]


@pytest.fixture(scope="module")
def admit(small_bundle: Path) -> Admit:
    return partial(intake.admit, reference=Reference.of_bundle(small_bundle), size_px=SIZE_PX)


def _text() -> Any:
    page = Image.new("L", (120, 120), 255)
    for y in range(4, 110, 12):
        ImageDraw.Draw(page).text((4, y), "No anatomy is to be seen here at all. " * 3, fill=0)
    return page


def _noise() -> Any:
    return np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)


def _photograph(film: Any) -> Any:
    return np.stack([film, film[::-1], film[:, ::-1]], axis=2)


def test_film_is_admitted_by_the_projects_resize_rule(
    admit: Admit, small_film: Callable[[int], Any], encode: Callable[..., bytes]
) -> None:
    film = small_film(0)
    assert (admit(encode(film)) == resize(film, SIZE_PX)).all()
    large = np.array(Image.fromarray(film).resize((960, 800), Image.Resampling.BICUBIC))
    jpeg = encode(large, "JPEG", quality=95)
    expected = decode(jpeg, 10**7, size_px=SIZE_PX).squared(SIZE_PX)  # as it was for training
    assert (admit(jpeg) == expected).all()


def test_gray_film_stored_in_colour_is_admitted(
    admit: Admit, small_film: Callable[[int], Any], encode: Callable[..., bytes]
) -> None:
    film = small_film(0)
    stored = Image.fromarray(film).convert("RGB")
    assert (admit(encode(stored)) == admit(encode(film))).all()
    assert admit(encode(stored, "JPEG")).shape == (SIZE_PX, SIZE_PX)


def test_dicom_is_read_as_a_viewer_shows_it(
    admit: Admit,
    small_film: Callable[[int], Any],
    encode: Callable[..., bytes],
    dicom: Callable[..., bytes],
) -> None:
    film = small_film(0)
    assert (admit(dicom(film)) == admit(encode(film))).all()
    negative = dicom(255 - film, PhotometricInterpretation="MONOCHROME1")
    assert (admit(negative) == admit(encode(film))).all()


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (_photograph, "it is in colour"),
        (lambda film: np.full_like(film, 255), "it is blank or nearly so"),
        (lambda film: film // 64 + 120, "it is blank or nearly so"),
        (lambda film: film // 64 * 64, "it has almost no contrast .* gray levels in its middle"),
        (lambda _: _text(), "it is full of fine detail, as text or noise"),
        (lambda _: _noise(), "it is full of fine detail, as text or noise"),
    ],
    ids=["photograph", "blank", "nearly blank", "four levels", "text", "noise"],
)
def test_what_is_no_film_is_turned_away_with_a_reason(
    admit: Admit,
    small_film: Callable[[int], Any],
    encode: Callable[..., bytes],
    draw: Callable[[Any], Any],
    text: str,
) -> None:
    with pytest.raises(NoFilmError, match=f"not a chest film: {text}"):
        admit(encode(draw(small_film(0))))


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", bytes(128) + b"DICM"])
def test_what_cannot_be_decoded_is_an_image_error(admit: Admit, data: bytes) -> None:
    with pytest.raises(ImageError) as raised:
        admit(data)
    assert not isinstance(raised.value, NoFilmError)


def test_dicom_of_something_else_is_refused(
    admit: Admit, small_film: Callable[[int], Any], dicom: Callable[..., bytes]
) -> None:
    for header, reason in (
        ({"Modality": "CT"}, "another modality"),
        ({"Modality": "DX", "ViewPosition": "LL"}, "another view"),
    ):
        with pytest.raises(ImageError, match=f"DICOM of {reason}|DICOM in {reason}"):
            admit(dicom(small_film(0), **header))


def test_bombs_are_refused_by_what_their_headers_claim(
    admit: Admit, dicom: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + checksum

    header = (8000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    with pytest.raises(ImageError, match="oversized: 8000 x 8000"):
        admit(png)
    with pytest.raises(ImageError, match="oversized: 7000 x 7000"):
        admit(dicom(np.zeros((8, 8), np.uint8), Rows=7000, Columns=7000))
    monkeypatch.setattr(intake, "MAX_PIXELS", 63)
    with pytest.raises(ImageError, match="oversized"):
        admit(dicom(np.zeros((8, 8), np.uint8)))


def test_deflated_dicom_is_not_unpacked(admit: Admit, dicom: Callable[..., bytes]) -> None:
    data = dicom(np.zeros((8, 8), np.uint8), TransferSyntaxUID="1.2.840.10008.1.2.1.99")
    with pytest.raises(ImageError, match="deflated DICOM"):
        admit(data)


@pytest.fixture(scope="session")
def dicom(
    tmp_path_factory: pytest.TempPathFactory, write_dicom: Callable[..., Path]
) -> Callable[..., bytes]:
    path = tmp_path_factory.mktemp("dicom") / "film.dcm"
    return lambda pixels, **header: write_dicom(path, pixels, **header).read_bytes()
