"""What people really have in their folders: each ends as a row with a reason, or as one error."""

import io
import os
import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pneumo_core.arrays import Gray
from pneumo_core.data import manifest
from pneumo_core.data.images import decode
from pneumo_core.errors import ArchiveError, SourceError
from pneumo_core.labels import LABELS
from pneumo_core.params import DedupParams, IngestParams, ValidateParams
from pneumo_core.preparation.duplicates import find_duplicates, remove_duplicates
from pneumo_core.preparation.inventory import take_inventory
from pneumo_core.sources.collect import collect
from pneumo_core.sources.folder import walk
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.source import Source

KEPT, QUARANTINED = manifest.KEPT, manifest.QUARANTINED
LIMITS = ValidateParams(image_size_px=64, min_side_px=32)

Encode = Callable[..., bytes]
Put = Callable[[dict[str, bytes]], Source]


class Looked:
    """A source taken through ingest, validate and dedup, beside four good films."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.raw = folder / "raw"
        collected = collect(source.files(), self.raw)

        def read(path: str) -> bytes:
            return (self.raw / path).read_bytes()

        looked, images = take_inventory(collected, read, LIMITS, folder / "packed")
        found = find_duplicates(looked, images, read, DedupParams())
        self.rows: pd.DataFrame = remove_duplicates(looked, found).set_index(collected["file"])

    def state(self, place: str) -> tuple[str, str | None]:
        row = self.rows.loc[place]
        return row["state"], None if pd.isna(row["reason"]) else row["reason"]

    def is_copied(self, place: str) -> bool:
        return bool(self.rows.at[place, "path"])

    def copied(self, place: str) -> bytes:
        return (self.raw / self.rows.at[place, "path"]).read_bytes()

    def pixels(self, place: str) -> Gray:
        return decode(self.copied(place), max_pixels=10**6).pixels


@pytest.fixture(scope="module")
def good(film: Callable[..., Gray], encode: Encode) -> dict[str, bytes]:
    return {
        f"{split}/{label}/good.png": encode(film(seed))
        for seed, (split, label) in enumerate(
            (split, label) for split in ("train", "test") for label in LABELS
        )
    }


@pytest.fixture(params=["folder", "zip"])
def put(
    request: Any, tmp_path: Path, good: dict[str, bytes], write_tree: Any, write_zip: Any
) -> Put:
    """Puts files, beside the good ones, into a folder and then into a zip."""

    def into(files: dict[str, bytes]) -> Source:
        if request.param == "zip":
            path = write_zip(tmp_path / "films.zip", good | files)
        else:
            path = write_tree(tmp_path / "films", good | files)
        return open_source(IngestParams(source=str(path)))

    return into


def _png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
        )

    header = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


def _animation(draw: Callable[..., Gray]) -> bytes:
    buffer = io.BytesIO()
    first, second = (Image.fromarray(draw(seed)) for seed in (8, 9))
    first.save(buffer, "GIF", save_all=True, append_images=[second])
    return buffer.getvalue()


def _pale(film: Gray) -> Gray:
    """A film of ten levels in a black frame, whose standard deviation is that of any film."""
    framed = 120 + film // 26
    framed[:9], framed[-9:], framed[:, :9] = 0, 0, 0
    return framed


BAD: dict[str, tuple[Callable[[Callable[..., Gray], Encode], bytes], str]] = {
    "truncated.jpeg": (lambda f, e: e(f(8), "JPEG")[:-400], "cannot be decoded: .*truncated"),
    "half.png": (lambda f, e: e(f(8))[:900], "cannot be decoded"),
    "empty.jpeg": (lambda *_: b"", "empty file"),
    "text.jpeg": (lambda *_: b"no picture at all", "not an image"),
    "page.html.png": (lambda *_: b"<html>please log in</html>", "not an image"),
    "dot.png": (lambda f, e: e(f(8)[:1, :1]), "too small: 1 x 1 pixels"),
    "strip.png": (lambda f, e: e(f(8, 31, 500)), "too small: 500 x 31 pixels"),
    "animated.gif": (lambda f, _: _animation(f), "several frames, not one film"),
    "bits.png": (lambda f, e: e(Image.fromarray(f(8) > 127)), "almost no contrast"),
    "pale.png": (lambda f, e: e(_pale(f(8))), "almost no contrast"),
    "huge.png": (lambda *_: _png_header(30_000, 30_000), "oversized"),
    "large.png": (lambda *_: _png_header(10_001, 10_000), "oversized: 10001 x 10000 pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_broken_file_is_quarantined_with_its_reason(
    tmp_path: Path, put: Put, film: Callable[..., Gray], encode: Encode, name: str
) -> None:
    make, message = BAD[name]
    place = f"train/PNEUMONIA/{name}"
    looked = Looked(put({place: make(film, encode)}), tmp_path)
    state, reason = looked.state(place)
    assert state == QUARANTINED
    assert pd.Series([reason]).str.contains(message).all(), reason
    assert looked.is_copied(place)  # raw is what came
    assert manifest.count(looked.rows, "state") == {KEPT: 4, QUARANTINED: 1}


RAMP = np.linspace(0, 255, 64 * 64).astype(np.uint8).reshape(64, 64)
DEEP = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)


def _rgba() -> Image.Image:
    """The left half is there, the right half is see-through."""
    colours = np.stack([RAMP, RAMP[::-1], RAMP.T, np.full_like(RAMP, 255)], axis=2)
    colours[:, 32:, 3] = 0
    return Image.fromarray(colours, "RGBA")


def _luma(red: Any, green: Any, blue: Any) -> Gray:
    weighted = 19595 * red.astype(int) + 38470 * green.astype(int) + 7471 * blue.astype(int)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)


UNUSUAL: dict[str, tuple[Callable[[Encode], bytes], Gray, int]] = {
    # the bytes count, not the name
    "png.jpeg": (lambda e: e(RAMP), RAMP, 0),
    "no suffix": (lambda e: e(RAMP), RAMP, 0),
    # scaled, not clipped
    "deep.png": (
        lambda e: e(Image.fromarray(DEEP)),
        (DEEP // 257).astype(np.uint8),
        0,
    ),
    # what is drawn counts, even where a mask hides it: a film is not transparent
    "rgba.png": (lambda e: e(_rgba()), _luma(RAMP, RAMP[::-1], RAMP.T), 0),
    # ink: more of it is darker
    "cmyk.tiff": (lambda e: e(_ink(), "TIFF"), 255 - RAMP, 0),
    "cmyk.jpeg": (lambda e: e(_ink(), "JPEG", quality=98), 255 - RAMP, 4),
    "palette.gif": (lambda e: e(Image.fromarray(RAMP), "GIF"), RAMP, 0),
}  # fmt: skip


def _ink() -> Image.Image:
    nothing = np.zeros_like(RAMP)
    return Image.fromarray(np.stack([nothing, nothing, nothing, RAMP], axis=2), "CMYK")


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_film_is_kept_with_the_right_pixels(
    tmp_path: Path, put: Put, encode: Encode, name: str
) -> None:
    make, expected, tolerance = UNUSUAL[name]
    place = f"train/PNEUMONIA/{name}"
    looked = Looked(put({place: make(encode)}), tmp_path)
    assert looked.state(place) == (KEPT, None)
    difference = np.abs(looked.pixels(place).astype(int) - expected)
    assert difference.max() <= tolerance


@pytest.mark.parametrize(
    "name", ["환자 12 흉부.png", " leading and trailing .png", "a'b\"c;$(d).png"]
)
def test_any_name_is_kept_as_it_is(
    tmp_path: Path, put: Put, film: Callable[..., Gray], encode: Encode, name: str
) -> None:
    looked = Looked(put({f"train/PNEUMONIA/{name}": encode(film(8))}), tmp_path)
    assert looked.state(f"train/PNEUMONIA/{name}") == (KEPT, None)
    assert looked.is_copied(f"train/PNEUMONIA/{name}")


def test_class_folder_in_another_case_is_the_class(
    tmp_path: Path, put: Put, film: Callable[..., Gray], encode: Encode
) -> None:
    looked = Looked(put({"Train/Pneumonia/a.PNG": encode(film(8))}), tmp_path)
    assert looked.state("train/PNEUMONIA/a.PNG") == (KEPT, None)


def test_one_film_under_two_labels_is_quarantined_twice(
    tmp_path: Path, put: Put, film: Callable[..., Gray], encode: Encode
) -> None:
    data = encode(film(8))
    places = ["train/NORMAL/a.png", "train/PNEUMONIA/a.png"]
    looked = Looked(put(dict.fromkeys(places, data)), tmp_path)
    for place in places:
        state, reason = looked.state(place)
        assert state == QUARANTINED
        assert "label conflict" in str(reason)
        assert all(each in str(reason) for each in looked.rows.loc[places, "image_id"])


@pytest.mark.parametrize(
    "data",
    [
        bytes(128) + b"DICM" + b"Hong^Gildong",
        b"II*\x00" + bytes(124) + b"DICM" + b"Hong^Gildong",  # a TIFF at the same time
        b"\x08\x00\x05\x00CS\x0a\x00Hong^Gildong",  # without the preamble
    ],
    ids=["DICOM", "TIFF and DICOM", "bare"],
)
def test_dicom_is_quarantined_and_never_copied(tmp_path: Path, put: Put, data: bytes) -> None:
    looked = Looked(put({"train/NORMAL/film.jpeg": data}), tmp_path)
    state, reason = looked.state("train/NORMAL/film.jpeg")
    assert state == QUARANTINED
    assert "use a description of kind: dicom" in str(reason)
    assert not looked.is_copied("train/NORMAL/film.jpeg")


@pytest.mark.parametrize(
    ("frames", "header", "message"),
    [(None, {}, "without pixels"), (2, {"NumberOfFrames": 2}, "of 2 frames, not one film")],
)
def test_dicom_that_is_no_film_is_quarantined(
    tmp_path: Path,
    open_description: Callable[..., Source],
    write_dicom: Callable[..., Path],
    frames: int | None,
    header: dict[str, Any],
    message: str,
) -> None:
    for split in ("train", "test"):
        for value, label in enumerate(LABELS):
            place = tmp_path / "dicom" / split / label / "good"
            write_dicom(place, np.add(RAMP, value + 2 * len(split), dtype=np.uint16) ** 2 % 4000)
    pixels = None if frames is None else np.stack([RAMP] * frames)
    write_dicom(tmp_path / "dicom/train/NORMAL/odd", pixels, **header)
    source = open_description(kind="dicom", path="dicom", salt="0123456789abcdef")
    looked = Looked(source, tmp_path)
    (odd,) = looked.rows[looked.rows["state"] == QUARANTINED]["reason"]
    assert f"DICOM {message}" in odd
    assert len(looked.rows) == 5


# Folders only


def test_links_pipes_and_undecodable_names_are_rows(
    tmp_path: Path, good: dict[str, bytes], write_tree: Any
) -> None:
    root = write_tree(tmp_path / "films", good)
    (root / "train/NORMAL/link.png").symlink_to(root / "train/NORMAL/good.png")
    os.mkfifo(root / "train/NORMAL/pipe.png")
    latin = os.fsencode(root / "train/NORMAL") + b"/na\xefve.png"
    Path(os.fsdecode(latin)).write_bytes(good["test/NORMAL/good.png"][:99])
    looked = Looked(open_source(IngestParams(source=str(root))), tmp_path)
    assert looked.state("train/NORMAL/link.png") == (
        QUARANTINED,
        "cannot be read: symbolic link, not followed",
    )
    assert looked.state("train/NORMAL/pipe.png") == (
        QUARANTINED,
        "cannot be read: not a regular file",
    )
    assert looked.state("train/NORMAL/na\\xefve.png")[0] == QUARANTINED
    assert len(looked.rows) == 7


def test_linked_folder_and_closed_folder_are_errors(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films/train").symlink_to(tmp_path)
    with pytest.raises(SourceError, match="films/train links to a folder"):
        open_source(IngestParams(source=str(tmp_path / "films"))).files()
    with pytest.raises(SourceError, match="Cannot read a folder of images"):
        list(walk(tmp_path / "gone"))  # the same way as one without permission


# Zips only


@pytest.fixture
def zipped(tmp_path: Path, good: dict[str, bytes]) -> Callable[..., Path]:
    def write(*members: tuple[str | zipfile.ZipInfo, bytes], compression: int = 8) -> Path:
        path = tmp_path / "films.zip"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, data in (*good.items(), *members):
                archive.writestr(name, data)
        return path

    return write


def _look(path: Path) -> Looked:
    return Looked(open_source(IngestParams(source=str(path))), path.parent)


@pytest.mark.parametrize("name", ["../train/NORMAL/a.png", "train/NORMAL/../../../b.png", "/c.png"])
def test_member_outside_refuses_the_archive(zipped: Callable[..., Path], name: str) -> None:
    with pytest.raises(ArchiveError, match="points outside"):
        _look(zipped((name, b"x")))


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"max_files": 4}, "holds 5 files"), ({"max_total_gb": 1e-3}, "would unpack to")],
)
def test_bomb_of_many_or_of_much_refuses_the_archive(
    zipped: Callable[..., Path], limits: dict[str, Any], message: str
) -> None:
    path = zipped(("train/NORMAL/zeros.png", bytes(2_000_000)))
    with pytest.raises(ArchiveError, match=message):
        open_source(IngestParams.model_validate({"source": str(path)} | limits)).files()


def test_bomb_that_lies_about_its_size_is_quarantined_unpacked_no_further(
    zipped: Callable[..., Path],
) -> None:
    path = zipped(("train/NORMAL/liar.png", bytes(100_000_000)))
    message, lied = struct.pack("<L", 100_000_000), struct.pack("<L", 1000)
    data = path.read_bytes()
    assert data.count(message) == 2
    path.write_bytes(data.replace(message, lied))
    tracemalloc.start()
    looked = _look(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    state, reason = looked.state("train/NORMAL/liar.png")
    assert state == QUARANTINED
    assert "damaged in the archive" in str(reason)
    assert not looked.is_copied("train/NORMAL/liar.png")
    assert peak < 50_000_000


def test_member_larger_than_any_film_is_quarantined_unread(zipped: Callable[..., Path]) -> None:
    path = zipped(("train/NORMAL/video.png", bytes(123_456)))
    message = struct.pack("<L", 123_456)
    path.write_bytes(path.read_bytes().replace(message, struct.pack("<L", 600_000_000)))
    state, reason = _look(path).state("train/NORMAL/video.png")
    assert (state, reason) == (
        QUARANTINED,
        "cannot be read: 600 MB, more than a film can have",
    )


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_without_a_bound_is_quarantined(
    zipped: Callable[..., Path], compression: int
) -> None:
    odd = zipfile.ZipInfo("train/NORMAL/odd.png")
    odd.compress_type = compression
    state, reason = _look(zipped((odd, b"x" * 100))).state("train/NORMAL/odd.png")
    assert state == QUARANTINED
    assert "other than deflate" in str(reason)


def test_link_in_a_zip_is_only_text(zipped: Callable[..., Path]) -> None:
    link = zipfile.ZipInfo("train/NORMAL/link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    looked = _look(zipped((link, b"/etc/passwd")))
    assert looked.state("train/NORMAL/link.png") == (QUARANTINED, "not an image")
    assert looked.copied("train/NORMAL/link.png") == b"/etc/passwd"


@pytest.mark.parametrize("name", ["n" * 252 + ".png", "흉" * 90 + ".png"])
def test_name_that_no_disk_takes_is_no_obstacle(zipped: Callable[..., Path], name: str) -> None:
    looked = _look(zipped((f"train/NORMAL/{name}", b"x")))
    assert looked.state(f"train/NORMAL/{name}") == (QUARANTINED, "not an image")
    assert looked.copied(f"train/NORMAL/{name}") == b"x"
