from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import SourceError
from pneumo_core.sources import collect
from pneumo_core.sources.patient_rules import name_patients
from pneumo_core.sources.source import Source

Describe = Callable[..., Source]
Write = Callable[[Path, dict[str, bytes]], Path]

FILM = "train/PNEUMONIA/person3_virus_9.jpeg"


@pytest.fixture
def two(tmp_path: Path, write_tree: Write, write_zip: Write, one_of_each: dict[str, bytes]) -> Path:
    write_tree(tmp_path / "left", one_of_each | {FILM: b"left"})
    write_zip(tmp_path / "right.zip", one_of_each | {FILM: b"right"})
    return tmp_path


def test_equal_places_do_not_collide_and_keep_their_origin(
    two: Path, open_description: Describe
) -> None:
    source = open_description(kind="several", sources={"left": "left", "right": "right.zip"})
    table = collect.collect(source.files(), two / "raw")
    assert len(table) == 10
    assert list(table["file"]) == sorted(table["file"])
    assert manifest.count(table, "origin") == {"left": 5, "right": 5}
    path_of = table.set_index("file")["path"]
    for origin in ("left", "right"):
        copied = two / "raw" / path_of[f"train/PNEUMONIA/{origin}/person3_virus_9.jpeg"]
        assert copied.read_bytes() == origin.encode()


@pytest.mark.usefixtures("two")
def test_names_of_the_archive_mean_the_same_in_all(open_description: Describe) -> None:
    source = open_description(kind="several", sources={"left": "left", "right": "right.zip"})
    files = name_patients(source.files(), "kermany")
    rows = [collect.describe(file) for file in files if "person3" in file.name]
    assert [(row["patient"], row["group"]) for row in rows] == [("person3_virus", "person3")] * 2
    alone = [collect.describe(f)["group"] for f in source.files() if f.name.endswith("a.jpeg")]
    assert alone == [None] * 8  # a name that tells nothing ties nobody together


@pytest.mark.parametrize(
    ("patients", "groups"), [("linked", ["12", "12"]), ("separate", ["a/12", "b/12"])]
)
def test_equal_numbers_of_two_tables_are_possibly_one_patient(
    tmp_path: Path, open_description: Describe, patients: str, groups: list[str]
) -> None:
    (tmp_path / "x.png").touch()
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("path,label,patient\nx.png,NORMAL,12\n")
        (tmp_path / f"{name}.yaml").write_text(f"kind: table\npath: {name}.csv\n")
    source = open_description(
        kind="several",
        patients=patients,
        sources={"a": "a.yaml", "b": {"kind": "table", "path": "b.csv"}},
    )
    rows = [collect.describe(file) for file in source.files()]
    assert [row["patient"] for row in rows] == ["a/12", "b/12"]
    assert [row["group"] for row in rows] == groups
    assert [row["origin"] for row in rows] == ["a", "b"]


def test_several_within_several_keep_both_names(two: Path, open_description: Describe) -> None:
    (two / "inner.yaml").write_text("kind: several\nsources: {left: left}\n")
    source = open_description(kind="several", sources={"outer": "inner.yaml"})
    assert {f"{f.split}/{f.label}" for f in source.files()} >= {"train/NORMAL", "test/PNEUMONIA"}
    assert {file.name.rpartition("/")[0] for file in source.files()} == {"outer/left"}
    assert {file.origin for file in source.files()} == {"outer"}


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({}, "sources: Dictionary should have at least 1 item"),
        ({"a/b": "left"}, "sources.a/b"),
        ({"..": "left"}, r"sources\.\.\."),
        ({"a": "gone"}, "Nothing at"),
        ({"a": {"kind": "tabel"}}, "kind 'tabel'"),
        ({"a": "description.yaml"}, "names itself"),
    ],
)
@pytest.mark.usefixtures("two")
def test_bad_part_is_one_clear_error(
    open_description: Describe, sources: object, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        open_description(kind="several", sources=sources)


@pytest.mark.usefixtures("two")
def test_the_site_is_the_sources_name_or_a_given_one(open_description: Describe) -> None:
    sources = {"a": "left", "b": "right.zip"}

    def sites(site: object) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for file in open_description(kind="several", sources=sources, site=site).files():
            found.setdefault(file.origin, set()).add(file.metadata.get("site", ""))
        return found

    assert sites(False) == {"a": {""}, "b": {""}}
    assert sites(True) == sites("name") == {"a": {"a"}, "b": {"b"}}
    assert sites({"b": "Seoul"}) == {"a": {""}, "b": {"Seoul"}}
    with pytest.raises(SourceError, match="site: c is none of the sources"):
        sites({"c": "Seoul"})
