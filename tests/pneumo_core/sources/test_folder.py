from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources import collect
from pneumo_core.sources.folder import FolderSource
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.source import SourceFile

Place = Callable[[Path, dict[str, bytes]], Path]


@pytest.fixture(params=["folder", "zip"])
def place(request: Any, write_tree: Place, write_zip: Place) -> Place:
    """Puts files into a folder, and then the same into a zip."""

    def put(tmp_path: Path, files: dict[str, bytes]) -> Path:
        if request.param == "zip":
            return write_zip(tmp_path / "films.zip", files)
        return write_tree(tmp_path / "films", files)

    return put


def _files(path: Path, **limits: Any) -> list[SourceFile]:
    return open_source(IngestParams(source=str(path), **limits)).files()


def _ids(path: Path) -> list[str]:
    return [file.place for file in _files(path)]


def test_files_of_the_kaggle_layout_come_in_order_with_their_bytes(
    tmp_path: Path, place: Place, one_of_each: dict[str, bytes]
) -> None:
    path = place(tmp_path, {f"chest_xray/{name}": data for name, data in one_of_each.items()})
    files = _files(path)
    assert {file.place: file.read() for file in files} == one_of_each
    assert [file.place for file in files] == sorted(one_of_each)
    assert all(file.num_bytes == len(file.read()) for file in files)


def test_second_copy_of_the_tree_is_left_out(
    tmp_path: Path, place: Place, one_of_each: dict[str, bytes]
) -> None:
    nested = {f"chest_xray/chest_xray/{name}": data for name, data in one_of_each.items()}
    outer = {f"chest_xray/{name}": data for name, data in one_of_each.items()}
    assert _ids(place(tmp_path, nested | outer)) == sorted(one_of_each)


def test_two_different_files_for_one_place_are_an_error(
    tmp_path: Path, place: Place, one_of_each: dict[str, bytes]
) -> None:
    path = place(tmp_path, one_of_each | {"copy/train/NORMAL/a.jpeg": b"another film"})
    with pytest.raises(SourceError, match=r"two different files for train/NORMAL/a\.jpeg"):
        _files(path)


def test_second_copy_that_cannot_be_read_is_an_error(
    tmp_path: Path, write_tree: Place, one_of_each: dict[str, bytes]
) -> None:
    root = write_tree(tmp_path / "films", one_of_each | {"copy/train/NORMAL/b.jpeg": b""})
    (root / "copy/train/NORMAL/a.jpeg").symlink_to(root / "train/NORMAL/a.jpeg")
    with pytest.raises(SourceError, match=r"two different files for train/NORMAL/a\.jpeg"):
        _files(root)


@pytest.mark.parametrize(
    "litter",
    [
        "__MACOSX/train/NORMAL/._a.jpeg",
        "__MACOSX/train/NORMAL/b.jpeg",
        "train/NORMAL/.DS_Store",
        "train/NORMAL/._a.jpeg",
        "train/NORMAL/Thumbs.db",
        ".cache/train/NORMAL/b.jpeg",
        "README.txt",
        "train/notes.txt",
    ],
)
def test_litter_is_no_image(
    tmp_path: Path, place: Place, one_of_each: dict[str, bytes], litter: str
) -> None:
    assert _ids(place(tmp_path, one_of_each | {litter: b"x"})) == sorted(one_of_each)


@pytest.mark.parametrize(
    "stray", ["train/COVID19/b.jpeg", "extra/NORMAL/b.dcm", "train/b.PNG", "PNEUMONIA/b.tif"]
)
def test_an_image_in_no_split_and_class_stops_the_reading(
    tmp_path: Path, place: Place, one_of_each: dict[str, bytes], stray: str
) -> None:
    path = place(tmp_path, one_of_each | {stray: b"x", "other/docs/c.png": b"y"})
    folder = Path(stray).parent.as_posix()
    with pytest.raises(SourceError, match="2 images that are in no split and class") as raised:
        _files(path)
    assert f"1 in {folder}/" in str(raised.value)
    assert "1 in other/docs/" in str(raised.value)
    with pytest.raises(SourceError, match=rf"1 images .*1 in {folder}/"):
        _files(path, ignore=["other"])
    source = open_source(IngestParams(source=str(path), ignore=[folder.upper(), "docs"]))
    assert [file.place for file in source.files()] == sorted(one_of_each)
    assert source.notes.sentences() == ["left out: 2 files in folders of ingest.ignore"]


def test_files_that_are_no_images_are_counted(
    tmp_path: Path, place: Place, one_of_each: dict[str, bytes]
) -> None:
    path = place(tmp_path, one_of_each | {"README": b"x", "more.zip": b"y", ".DS_Store": b"z"})
    source = open_source(IngestParams(source=str(path)))
    assert len(source.files()) == len(one_of_each)
    assert source.notes.sentences() == ["left out: 2 files that are no images by their names"]


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        (["films.zip"], "It holds an archive, films.zip: unpack it"),
        (["notes.txt", "x/films.tar.gz"], "It holds an archive, x/films.tar.gz: unpack it"),
        (["Data_Entry.csv", "images/a.png"], "It holds a table, Data_Entry.csv: if that gives"),
    ],
)
def test_an_archive_or_a_table_in_place_of_films_says_what_to_do(
    tmp_path: Path, place: Place, files: list[str], advice: str
) -> None:
    with pytest.raises(SourceError, match=advice):
        _files(place(tmp_path, dict.fromkeys(files, b"x")))


@pytest.mark.parametrize("stray", ["COVID19/b.jpeg", "BACTERIA/b.png", "b.png"])
def test_beside_two_folders_without_splits_a_third_one_stops_the_reading(
    tmp_path: Path, place: Place, stray: str
) -> None:
    films = {"site/NORMAL/a.png": b"1", "site/PNEUMONIA/ward/a.png": b"2", "notes.txt": b"3"}
    assert _ids(place(tmp_path, films)) == [
        "all/NORMAL/a.png",
        "all/PNEUMONIA/ward/a.png",
    ]
    path = place(tmp_path, films | {f"site/{stray}": b"4", "old/NORMAL/c.png": b"5"})
    folder = Path("site", stray).parent.as_posix()
    with pytest.raises(
        SourceError, match=rf"1 images that are in no class or in both \(1 in {folder}/\)"
    ):
        _files(path)
    if folder != "site":
        kept = _files(path, ignore=[folder, "old"])
        assert [file.name for file in kept] == ["a.png", "ward/a.png"]


@pytest.mark.parametrize("name", ["valid", "validation", "dev", "VAL", "Valid"])
def test_other_names_of_validation(tmp_path: Path, place: Place, name: str) -> None:
    assert _ids(place(tmp_path, {f"{name}/NORMAL/a.jpeg": b"x"})) == ["val/NORMAL/a.jpeg"]


def test_folders_below_a_class_are_part_of_the_name(tmp_path: Path, place: Place) -> None:
    path = place(tmp_path, {"set/train/NORMAL/patient 7/1.jpeg": b"x"})
    assert _ids(path) == ["train/NORMAL/patient 7/1.jpeg"]


@pytest.mark.parametrize("folder", ["Train/Normal", "TRAIN/normal", "train/NORMAL"])
def test_case_of_the_folders_does_not_matter(tmp_path: Path, place: Place, folder: str) -> None:
    assert _ids(place(tmp_path, {f"{folder}/A.JPEG": b"x"})) == ["train/NORMAL/A.JPEG"]


@pytest.mark.parametrize("name", ["환자 12 흉부.jpeg", "person1 (copy).jpeg", "naïve#1%20.png"])
def test_any_name_is_kept_as_it_is(tmp_path: Path, place: Place, name: str) -> None:
    (file,) = _files(place(tmp_path, {f"가슴 사진/val/PNEUMONIA/{name}": b"x"}))
    assert file.place == f"val/PNEUMONIA/{name}"
    assert file.read() == b"x"


def test_symbolic_link_becomes_a_quarantined_row(
    tmp_path: Path, write_tree: Place, one_of_each: dict[str, bytes]
) -> None:
    root = write_tree(tmp_path / "films", one_of_each)
    (tmp_path / "secret").write_text("not for you")
    (root / "train/NORMAL/link.jpeg").symlink_to(tmp_path / "secret")
    (root / "train/NORMAL/dangling.jpeg").symlink_to(tmp_path / "nowhere")
    table = collect.collect(open_source(IngestParams(source=str(root))).files(), tmp_path / "raw")
    rows = table[table["state"] == manifest.QUARANTINED]
    assert list(rows["file"]) == ["train/NORMAL/dangling.jpeg", "train/NORMAL/link.jpeg"]
    assert rows["reason"].str.contains("symbolic link").all()
    copies = [path.read_bytes() for path in (tmp_path / "raw").rglob("*.*")]
    assert sorted(copies) == sorted(one_of_each.values())
    assert manifest.count(table, "state") == {"kept": 4, "quarantined": 2}


def test_nothing_but_empty_folders_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "films/train/NORMAL").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"No images in .*expected files in"):
        _files(tmp_path / "films")


@pytest.mark.parametrize(
    ("name", "message"), [("gone", "Nothing at"), ("notes.txt", "neither a folder, a zip")]
)
def test_wrong_path_is_one_clear_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(SourceError, match=message) as raised:
        _files(tmp_path / name)
    assert name in str(raised.value)


def test_a_linked_folder_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "NORMAL").mkdir(parents=True)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="films/train links to a folder"):
        FolderSource(tmp_path / "films").files()


def test_other_names_of_the_classes_are_mapped(tmp_path: Path, place: Place) -> None:
    names = ("train/BACTERIA/a.png", "train/virus/b.png", "test/1/c.png", "test/NORMAL/d.png")
    path = place(tmp_path, {name: name.encode() for name in names})
    with pytest.raises(SourceError, match="in no split and class"):
        _files(path)
    labels = {"PNEUMONIA": ["Bacteria", "VIRUS", 1]}
    assert [file.place for file in _files(path, labels=labels)] == [
        "test/NORMAL/d.png",
        "test/PNEUMONIA/c.png",
        "train/PNEUMONIA/a.png",
        "train/PNEUMONIA/b.png",
    ]
