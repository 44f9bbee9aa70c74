import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import ArchiveError
from pneumo_core.params import IngestParams
from pneumo_core.sources import collect
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.source import SourceFile

WriteZip = Callable[[Path, dict[str, bytes]], Path]


def _files(path: Path, **limits: float) -> list[SourceFile]:
    return open_source(IngestParams.model_validate({"source": str(path)} | limits)).files()


@pytest.mark.parametrize(
    "member",
    [
        "../train/NORMAL/a.jpeg",
        "train/NORMAL/../../../a.jpeg",
        "/train/NORMAL/a.jpeg",
        "..\\train\\NORMAL\\a.jpeg",
        "C:\\train\\NORMAL\\a.jpeg",
    ],
)
def test_member_that_leaves_the_archive_refuses_it_whole(
    tmp_path: Path, write_zip: WriteZip, one_of_each: dict[str, bytes], member: str
) -> None:
    path = write_zip(tmp_path / "films.zip", one_of_each | {member: b"x"})
    with pytest.raises(ArchiveError, match="points outside"):
        collect.collect(open_source(IngestParams(source=str(path))).files(), tmp_path / "raw")
    assert list(tmp_path.iterdir()) == [path]


def test_member_without_a_name_is_no_image(
    tmp_path: Path, write_zip: WriteZip, one_of_each: dict[str, bytes]
) -> None:
    files = _files(write_zip(tmp_path / "films.zip", one_of_each | {".": b"x"}))
    assert len(files) == len(one_of_each)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_files": 3}, r"holds 4 files, ingest\.max_files allows 3"),
        ({"max_total_gb": 3e-6}, r"ingest\.max_total_gb allows 3e-06"),
    ],
)
def test_archive_over_the_limits_is_refused(
    tmp_path: Path, write_zip: WriteZip, limits: dict[str, float], message: str
) -> None:
    path = write_zip(tmp_path / "a.zip", {f"train/NORMAL/{i}.png": bytes(1000) for i in range(4)})
    assert len(_files(path, max_files=4, max_total_gb=4e-6)) == 4
    with pytest.raises(ArchiveError, match=message):
        _files(path, **limits)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04" + bytes(100)])
def test_file_that_is_no_zip_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "films.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"films\.zip is not a readable zip"):
        _files(path)


def test_archive_cut_short_is_one_clear_error(
    tmp_path: Path, write_zip: WriteZip, one_of_each: dict[str, bytes]
) -> None:
    path = write_zip(tmp_path / "films.zip", one_of_each)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArchiveError, match="not a readable zip"):
        _files(path)


def test_member_list_that_cannot_be_decoded_is_one_clear_error(
    tmp_path: Path, write_zip: WriteZip
) -> None:
    path = write_zip(tmp_path / "films.zip", {"train/NORMAL/필.png": b"x"})
    header, listed = path.read_bytes().split(b"PK\x01\x02")
    listed = listed.replace("필".encode(), b"\xff\xff\xff")
    path.write_bytes(header + b"PK\x01\x02" + listed)
    with pytest.raises(ArchiveError, match="not a readable zip"):
        _files(path)


def _damage(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert len(old) == len(new)
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"the very film", b"the VERY film"),  # the checksum no longer matches
        ("train/NORMAL/필름.png".encode(), b"train/NORMAL/\xff\xff\xff\xff\xff\xff.png"),
    ],
    ids=["content", "name in the member's header"],
)
def test_damaged_member_is_quarantined_and_the_rest_goes_on(
    tmp_path: Path, write_zip: WriteZip, one_of_each: dict[str, bytes], old: bytes, new: bytes
) -> None:
    members = one_of_each | {"train/NORMAL/필름.png": b"the very film"}
    path = write_zip(tmp_path / "films.zip", members)
    _damage(path, old, new)
    (damaged,) = (file for file in _files(path) if file.name == "필름.png")
    with pytest.raises(OSError, match="damaged in the archive"):
        damaged.read()
    table = collect.collect(open_source(IngestParams(source=str(path))).files(), tmp_path / "raw")
    assert manifest.count(table, "state") == {"kept": 4, "quarantined": 1}
    (reason,) = table.loc[table["state"] == manifest.QUARANTINED, "reason"]
    assert "damaged in the archive" in reason


def test_encrypted_member_cannot_be_read(tmp_path: Path, write_zip: WriteZip) -> None:
    path = write_zip(tmp_path / "films.zip", {"train/NORMAL/a.png": b"x"})
    data = bytearray(path.read_bytes())
    for start in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[start] |= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match="encrypted"):
        _files(path)[0].read()


def test_directory_entries_are_no_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.mkdir("train/NORMAL/folder.jpeg")
        archive.writestr("train/NORMAL/a.jpeg", b"x")
    assert [file.name for file in _files(tmp_path / "films.zip")] == ["a.jpeg"]
