"""What films and patients are called by, and the names that only ingest knows."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import DataError
from pneumo_core.params import IngestParams
from pneumo_core.sources import identity
from pneumo_core.sources.collect import collect
from pneumo_core.sources.opening import open_source

FILMS = {
    "train/NORMAL/IM-0001-0001.png": b"a",
    "train/NORMAL/IM-0001-0002.png": b"b",
    "train/NORMAL/plain.png": b"b",
    "train/PNEUMONIA/person1_bacteria_1.png": b"c",
    "train/PNEUMONIA/person1_virus_2.png": b"d",
    "test/NORMAL/IM-0002-0001.png": b"b",
    "test/PNEUMONIA/person2_virus_3.png": b"e",
}


def _id(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


@pytest.fixture
def table(tmp_path: Path, write_tree: Callable[..., Path]) -> pd.DataFrame:
    root = write_tree(tmp_path / "source", FILMS)
    (root / "train/NORMAL/gone.png").symlink_to(tmp_path / "nowhere")
    source = open_source(IngestParams(source=str(root)))
    return collect(source.files(), tmp_path / "raw").set_index("file", drop=False)


def test_a_film_is_called_by_its_bytes_and_a_patient_by_the_first_film(table: pd.DataFrame) -> None:
    image_id = table["image_id"]
    assert image_id["train/NORMAL/IM-0001-0001.png"] == _id(b"a")
    equal = ["test/NORMAL/IM-0002-0001.png", "train/NORMAL/IM-0001-0002.png"]
    assert list(image_id[equal]) == [_id(b"b"), f"{_id(b'b')}-2"]
    assert image_id["train/NORMAL/plain.png"] == f"{_id(b'b')}-3"
    assert image_id["train/NORMAL/gone.png"] == "unreadable-1"
    assert image_id.is_unique
    keys, groups = table["patient_key"], table["patient_group"]
    first = f"p-{_id(b'a')}"
    assert keys["train/NORMAL/IM-0001-0002.png"] == keys["train/NORMAL/IM-0001-0001.png"] == first
    assert keys["train/NORMAL/plain.png"] == groups["train/NORMAL/plain.png"] == f"p-{_id(b'b')}-3"
    virus, bacteria = (
        "train/PNEUMONIA/person1_virus_2.png",
        "train/PNEUMONIA/person1_bacteria_1.png",
    )
    assert (keys[virus], groups[virus]) == (f"p-{_id(b'd')}", f"p-{_id(b'c')}")
    assert groups[bacteria] == groups[virus]


def test_a_film_keeps_its_id_when_it_is_renamed(
    tmp_path: Path, write_tree: Callable[..., Path], table: pd.DataFrame
) -> None:
    renamed = {place.replace("IM-0001", "IM-0777"): data for place, data in FILMS.items()}
    source = open_source(IngestParams(source=str(write_tree(tmp_path / "renamed", renamed))))
    again = collect(source.files(), tmp_path / "raw2")
    kept = table["state"] == manifest.KEPT
    assert sorted(again["image_id"]) == sorted(table["image_id"][kept])


def test_the_manifest_has_no_name_and_the_names_come_back(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    manifest.write(table, tmp_path / "manifest.parquet")
    identity.write(table, tmp_path / "names.parquet")
    without = manifest.read(tmp_path / "manifest.parquet")
    for name in ("IM-0", "person", "plain", "gone"):
        assert name not in without.to_csv()
    names = identity.read(tmp_path / "names.parquet")
    assert list(identity.with_names(without, names)["file"]) == list(table["file"])
    assert names.set_index("file")["patient"]["test/NORMAL/IM-0002-0001.png"] == "IM-0002"
    with pytest.raises(DataError, match="1 of 8 films are not those that were ingested"):
        identity.with_names(without, names.iloc[1:])
    with pytest.raises(DataError, match="run the stage ingest first"):
        identity.read(tmp_path / "nothing.parquet")


def test_names_of_unknown_patients_in_any_order_keep_their_columns(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    path = tmp_path / "names.parquet"
    without = table.reset_index(drop=True).assign(patient=None, group=None)[::-1]
    identity.write(without, path)
    assert pq.read_schema(path) == identity.SCHEMA
    assert list(identity.read(path)["image_id"]) == list(without["image_id"])


def test_a_file_of_something_else_is_refused(tmp_path: Path, table: pd.DataFrame) -> None:
    path = tmp_path / "names.parquet"
    path.write_text("half of one")
    with pytest.raises(DataError, match="cannot be read as names of films"):
        identity.read(path)
    manifest.write(table, path)
    with pytest.raises(DataError, match="does not hold names of films"):
        identity.read(path)


def test_a_film_is_found_by_the_beginning_of_its_id(table: pd.DataFrame) -> None:
    found = identity.find(table, _id(b"a")[:6].upper())
    assert found["file"] == "train/NORMAL/IM-0001-0001.png"
    assert identity.find(table, f"p-{_id(b'a')}")["patient"] == "IM-0001"
    assert identity.find(table, _id(b"b"))["file"] == "test/NORMAL/IM-0002-0001.png"  # whole
    with pytest.raises(DataError, match="3 films begin with"):
        identity.find(table, _id(b"b")[:8])
    two = table[table["image_id"].str.startswith(_id(b"b"))][:2]
    with pytest.raises(DataError, match="2 films begin with"):
        identity.find(two, _id(b"b")[:8])
    for unknown in ("0" * 16, "", "p-"):
        with pytest.raises(DataError, match="No film here is called"):
            identity.find(table, unknown)
