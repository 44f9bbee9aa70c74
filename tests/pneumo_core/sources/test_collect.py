"""The source's files in the project's folder."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import DataError
from pneumo_core.labels import LABELS
from pneumo_core.params import IngestParams
from pneumo_core.sources.collect import collect
from pneumo_core.sources.opening import open_source
from pneumo_core.sources.source import Source


def _source(root: Path) -> Source:
    return open_source(IngestParams(source=str(root)))


def test_a_second_run_writes_only_what_changed(
    tmp_path: Path, write_tree: Callable[..., Path], one_of_each: dict[str, bytes]
) -> None:
    root = write_tree(tmp_path / "source", one_of_each | {"train/NORMAL/gone.png": b"gone"})
    table = collect(_source(root).files(), tmp_path / "raw")
    stored = _stored(table, tmp_path / "raw")
    assert all(path.read_bytes() == (root / place).read_bytes() for place, path in stored.items())
    written = {place: path.stat().st_ino for place, path in stored.items()}
    changed = next(iter(one_of_each))
    (root / changed).write_bytes(b"changed")
    (root / "train/NORMAL/gone.png").unlink()
    again = collect(_source(root).files(), tmp_path / "raw")
    assert not stored["train/NORMAL/gone.png"].exists()
    assert len(again) == len(table) - 1
    copies = _stored(again, tmp_path / "raw")
    now = {place: path.stat().st_ino for place, path in copies.items()}
    assert {place for place in now if now[place] == written[place]} == set(now) - {changed}
    assert copies[changed].read_bytes() == b"changed"
    assert not stored[changed].exists()


def _stored(table: pd.DataFrame, raw: Path) -> dict[str, Path]:
    return {file: raw / path for file, path in zip(table["file"], table["path"], strict=True)}


def test_a_file_that_cannot_be_read_is_a_quarantined_row(
    tmp_path: Path, write_tree: Callable[..., Path], one_of_each: dict[str, bytes]
) -> None:
    root = write_tree(tmp_path / "source", one_of_each)
    (root / "train/NORMAL/linked.png").symlink_to(root / next(iter(one_of_each)))
    table = collect(_source(root).files(), tmp_path / "raw").set_index("file")
    row = table.loc["train/NORMAL/linked.png"]
    assert row["state"] == manifest.QUARANTINED
    assert row["reason"] == "cannot be read: symbolic link, not followed"


@pytest.mark.parametrize("split", ["", "train/"])
def test_without_test_both_classes_suffice(
    tmp_path: Path, write_tree: Callable[..., Path], split: str
) -> None:
    films = {f"{split}{label}/{n}.png": f"{label}{n}".encode() for label in LABELS for n in "ab"}
    table = collect(_source(write_tree(tmp_path / "source", films)).files(), tmp_path / "raw")
    assert set(table["split"]) == {"train" if split else "all"}
    one = {name: data for name, data in films.items() if "NORMAL" in name}
    with pytest.raises(DataError, match="no PNEUMONIA films to train with and to make a test"):
        collect(_source(write_tree(tmp_path / "one", one)).files(), tmp_path / "raw_of_one")


def test_films_of_one_origin_are_all_in_splits_or_none_is(tmp_path: Path) -> None:
    table = "path,label,split\na.png,NORMAL,train\nb.png,PNEUMONIA,\nc.png,NORMAL,test\n"
    (tmp_path / "labels.csv").write_text(table)
    (tmp_path / "a.png").touch()
    (tmp_path / "source.yaml").write_text("kind: table\npath: labels.csv\n")
    with pytest.raises(DataError, match="1 of 3 films of table have no split, the others have one"):
        collect(_source(tmp_path / "source.yaml").files(), tmp_path / "raw")


@pytest.mark.parametrize("missing", ["train/NORMAL", "test/PNEUMONIA"])
def test_missing_class_is_one_clear_error(
    tmp_path: Path, write_tree: Callable[..., Path], one_of_each: dict[str, bytes], missing: str
) -> None:
    there = {name: data for name, data in one_of_each.items() if missing not in name}
    source = _source(write_tree(tmp_path / "source", there))
    with pytest.raises(DataError, match=f"no files in {missing}:"):
        collect(source.files(), tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
