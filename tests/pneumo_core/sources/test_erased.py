import hashlib
import json
from pathlib import Path

import pytest

from pneumo_core.errors import DataError, ErasureError
from pneumo_core.evaluation.any_source import inventory_of
from pneumo_core.sources import erased
from pneumo_core.sources.collect import collect
from pneumo_core.sources.erased import LEFT_OUT, Erased, ErasedFilmError, without_erased
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.patients import Patient
from pneumo_core.sources.source import SourceFile

SALT = b"s" * 64
LOOK = "5a" * 32
KEY = "nih:4711"


def film(name: str, data: bytes, patient: str | None = None) -> SourceFile:
    known = patient and Patient(patient, patient, "nih")
    return SourceFile("train", "NORMAL", name, len(data), lambda: data, "folder", known or None)


def listed(*traces: str) -> Erased:
    return Erased(SALT).with_patient(KEY, traces, [LOOK])


def test_the_list_says_nothing_without_its_salt(tmp_path: Path) -> None:
    path, sha = tmp_path / "erased.json", hashlib.sha256(b"film").hexdigest()
    erased.write(listed(sha, "train/NORMAL/a.png"), path)
    for word in (KEY, "4711", LOOK, sha, "a.png", SALT.decode()):
        assert word not in path.read_text()
    found = erased.read(path, lambda: SALT)
    assert found.find(KEY)
    assert found.knows(sha)
    assert not found.knows("0" * 64)
    assert found.looks() == [LOOK]
    assert found.find("nih:4712") is None


def test_a_patient_is_listed_once_with_all_that_is_known_of_it() -> None:
    (patient,) = listed("one").with_patient(KEY, ["two"], []).patients
    assert len(patient.traces) == 2
    assert listed("one").with_patient(KEY, ["two"], []).looks() == [LOOK]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "missing or damaged"),
        ('{"patients": [{"patient": "x"}]}', "missing or damaged"),
        ("[]", "missing or damaged"),
    ],
)
def test_a_damaged_list_stops_everything(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "erased.json"
    path.write_text(content)
    with pytest.raises(ErasureError, match=message):
        erased.read(path, lambda: SALT)


def test_another_salt_stops_everything_and_an_empty_list_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "erased.json"
    erased.write(listed(), path)
    with pytest.raises(ErasureError, match="another salt"):
        erased.read(path, lambda: b"t" * 64)
    path.write_text(json.dumps({"salt": None, "patients": []}))
    assert not erased.read(path, lambda: pytest.fail("asked")).patients


def test_films_are_left_out_by_patient_and_by_bytes() -> None:
    others = [film(f"{n}.png", f"film {n}".encode(), f"nih:{n}") for n in range(3)]
    again = film("renamed.png", b"its film", "nih:5")
    files = [*others, film("its.png", b"another of it", KEY), again]
    notes = Notes()
    kept = without_erased(files, listed(hashlib.sha256(b"its film").hexdigest()), notes)
    assert [file.name for file in kept] == ["0.png", "1.png", "2.png", "renamed.png"]
    assert notes.counts() == {LEFT_OUT: 1}
    with pytest.raises(ErasedFilmError):
        kept[-1].read()
    with inventory_of(kept, 64) as (table, _):  # of monitor and external sets
        assert sorted(table["file"]) == [each.place for each in others]


def test_ingest_keeps_neither_the_film_nor_a_row_of_it(tmp_path: Path) -> None:
    data = b"its film"
    pairs = [(s, label) for s in ("train", "test") for label in ("NORMAL", "PNEUMONIA")]
    others = [
        SourceFile(split, label, "a.png", 1, lambda: b"a", "folder") for split, label in pairs
    ]
    files = [*others, film("b.png", data)]
    kept = without_erased(files, listed(hashlib.sha256(data).hexdigest()), Notes())
    table = collect(kept, tmp_path)
    assert len(table) == len(others)
    assert not list(tmp_path.rglob("b.png"))


def test_a_source_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    pairs = [(s, label) for s in ("train", "test") for label in ("NORMAL", "PNEUMONIA")]
    files = [SourceFile(split, label, "a.png", 1, lambda: b"a", "f") for split, label in pairs]
    kept = without_erased(files, listed(hashlib.sha256(b"a").hexdigest()), Notes())
    with pytest.raises(DataError, match="none is left"):
        collect(kept, tmp_path)
