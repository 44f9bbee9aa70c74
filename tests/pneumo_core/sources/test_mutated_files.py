"""Files that were changed at random: each is a film or is refused by name, and nothing else."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pneumo_core.data.images import decode
from pneumo_core.errors import ImageError, SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources.archive import ZipSource
from pneumo_core.sources.dicom_pixels import render

NUM_CASES = 60  # of each kind
MAX_PIXELS = 1_000_000

pytestmark = pytest.mark.filterwarnings("ignore")  # a damaged file may have libraries warn


def _mutated(data: bytes, seed: int) -> bytes:
    """Return the bytes with a few of them changed, taken out, repeated or cut off."""
    rng = np.random.default_rng(seed)
    found = bytearray(data)
    for _ in range(rng.integers(1, 9)):
        # Headers matter most, so every other place is among the first bytes.
        end = len(found) if rng.random() < 0.5 else min(len(found), 256)
        place = int(rng.integers(0, max(end, 1)))
        size = int(rng.integers(1, 17))
        match int(rng.integers(0, 5)):
            case 0:
                found[place : place + 1] = rng.bytes(1)
            case 1:
                found[place : place + size] = b"\xff" * size
            case 2:
                del found[place : place + size]
            case 3:
                found[place:place] = found[place : place + size] * int(rng.integers(1, 9))
            case 4 if rng.random() < 0.3:
                del found[place:]
    return bytes(found)


def _picture(kind: str, film: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(film).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "TIFF packed"])
def test_a_changed_picture_is_decoded_or_refused(
    kind: str, film: Callable[..., np.ndarray]
) -> None:
    options = {"compression": "tiff_lzw"} if kind == "TIFF packed" else {}
    whole = _picture(kind.split()[0], film(1), **options)
    refused = 0
    for seed in range(NUM_CASES):
        try:
            decoded = decode(_mutated(whole, seed), MAX_PIXELS)
        except ImageError:
            refused += 1
        else:
            assert decoded.pixels.size <= MAX_PIXELS
    assert 0 < refused < NUM_CASES


@pytest.mark.parametrize("syntax", [None, "JPEG"])
def test_a_changed_dicom_is_rendered_or_refused_without_its_patient(
    tmp_path: Path,
    write_dicom: Callable[..., Path],
    film: Callable[..., np.ndarray],
    syntax: str | None,
) -> None:
    more = {}
    if syntax:
        from pydicom.encaps import encapsulate
        from pydicom.uid import JPEGBaseline8Bit

        more = {
            "TransferSyntaxUID": JPEGBaseline8Bit,
            "PixelData": encapsulate([_picture("JPEG", film(1))]),
        }
    whole = write_dicom(tmp_path / "film.dcm", film(1), **more).read_bytes()
    reasons = []
    for seed in range(NUM_CASES):
        try:
            picture = render(io.BytesIO(_mutated(whole, seed)), MAX_PIXELS)
        except OSError as error:
            reasons.append(str(error))
        else:
            assert picture.startswith(b"\x89PNG")
    assert 0 < len(reasons) < NUM_CASES
    assert not [reason for reason in reasons if "Hong" in reason or "4711" in reason]


def test_a_changed_zip_is_read_or_refused(
    tmp_path: Path, write_zip: Callable[..., Path], film: Callable[..., np.ndarray]
) -> None:
    members = {
        f"{split}/{label}/{name}": _picture("PNG", film(1, 32, 32))
        for split in ("train", "test")
        for label in ("NORMAL", "PNEUMONIA")
        for name in ("a.png", "환자.png")
    }
    whole = write_zip(tmp_path / "films.zip", members).read_bytes()
    path = tmp_path / "changed.zip"
    opened = refused = 0
    reasons = []
    for seed in range(NUM_CASES):
        damaged = bytearray(_mutated(whole, seed))
        start = whole.index(b"PK\x01\x02")  # the directory, where names and sizes are
        if seed % 2:
            directory = _mutated(whole[start:], seed)
            damaged = bytearray(whole[:start] + directory)
        path.write_bytes(damaged)
        try:
            files = ZipSource(path, IngestParams(source=str(path))).files()
        except SourceError:
            refused += 1
            continue
        opened += 1
        for file in files:
            assert ".." not in file.place
            try:
                assert len(file.read()) <= MAX_PIXELS
            except OSError as error:
                reasons.append((file.name, str(error)))
    assert not [reason for name, reason in reasons if name in reason]
    assert opened
    assert refused


@pytest.mark.parametrize(
    "name",
    ["../x.png", "/train/NORMAL/x.png", "a/../../x.png", "C:/NORMAL/x.png", "..\\NORMAL\\x.png"],
)
def test_a_member_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "films.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(SourceError, match="points outside it"):
        ZipSource(path, IngestParams(source=str(path))).files()
