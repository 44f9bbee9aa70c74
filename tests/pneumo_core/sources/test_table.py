import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import SourceError
from pneumo_core.labels import LABELS
from pneumo_core.sources import collect
from pneumo_core.sources.source import Source, SourceFile

Describe = Callable[..., Source]
WriteTree = Callable[[Path, dict[str, bytes]], Path]

HEAD = "path,label,split,patient,subtype\n"


@pytest.fixture
def listed(tmp_path: Path, open_description: Describe) -> Callable[..., list[SourceFile]]:
    def files(csv: str, encoding: str = "utf-8", **more: Any) -> list[SourceFile]:
        """Writes the table, and each image that it names where it can be."""
        (tmp_path / "labels.csv").write_text(csv, encoding)
        for name in re.findall(r"[\w/. -]+\.(?:png|jpeg)", csv):
            path = tmp_path / name.strip()
            if not path.exists() and ".." not in name and not name.startswith("/"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(name.encode())
        return open_description(kind="table", path="labels.csv", **more).files()

    return files


def test_rows_become_files_with_what_the_columns_tell(
    tmp_path: Path, write_tree: WriteTree, listed: Callable[..., list[SourceFile]]
) -> None:
    write_tree(tmp_path, {"x/a.png": b"a", "x/b.png": b"b", "c.png": b"c"})
    files = listed(
        HEAD + "x/a.png,Normal,,P 7,\nx\\b.png, pneumonia ,VAL,P 8,Virus\nc.png,NORMAL,test,,\n"
    )
    assert [(f.place, f.read(), f.num_bytes, f.origin) for f in files] == [
        ("all/NORMAL/x/a.png", b"a", 1, "table"),
        ("test/NORMAL/c.png", b"c", 1, "table"),
        ("val/PNEUMONIA/x/b.png", b"b", 1, "table"),
    ]
    rows = [collect.describe(file) for file in files]
    assert [row["patient"] for row in rows] == ["P 7", None, "P 8"]
    assert [row["group"] for row in rows] == ["P 7", None, "P 8"]
    assert [row["patient_rule"] for row in rows] == ["column", "unknown", "column"]
    assert [row["subtype"] for row in rows] == [None, None, "virus"]


def test_without_a_patient_the_name_tells(listed: Callable[..., list[SourceFile]]) -> None:
    plain, given = listed(
        "label,path,subtype\n"
        + "".join(
            f"PNEUMONIA,person{n}_virus_{n}.jpeg,{subtype}\n"
            for n, subtype in ((3, ""), (4, "fungus"))
        )
    )
    assert collect.describe(plain)["patient"] == "person3_virus"
    assert collect.describe(plain)["subtype"] == "virus"
    assert collect.describe(given)["patient_rule"] == "kermany"
    assert collect.describe(given)["subtype"] == "fungus"


def test_one_patient_column_beats_the_name(listed: Callable[..., list[SourceFile]]) -> None:
    (file,) = listed("path,label,patient\nperson3_virus_9.jpeg,PNEUMONIA,Q\n")
    row = collect.describe(file)
    assert (row["patient"], row["patient_rule"], row["subtype"]) == ("Q", "column", "virus")


def test_byte_order_mark_and_korean_are_read(listed: Callable[..., list[SourceFile]]) -> None:
    (file,) = listed("path,label\n환자 1/흉부.png,NORMAL\n", "utf-8-sig")
    assert file.place == "all/NORMAL/환자 1/흉부.png"


def test_missing_linked_and_overlong_files_are_quarantined(
    tmp_path: Path, write_tree: WriteTree, open_description: Describe
) -> None:
    lines = [f"{s}{n}.png,{label},{s}" for s in ("train", "test") for n, label in enumerate(LABELS)]
    write_tree(tmp_path, {line.split(",")[0]: b"x" for line in lines})
    (tmp_path / "link.png").symlink_to(tmp_path / "secret")
    lines += ["gone.png,NORMAL,train", "link.png,NORMAL,train", f"{'n' * 300}.png,NORMAL,train"]
    (tmp_path / "labels.csv").write_text("path,label,split\n" + "\n".join(lines))
    source = open_description(kind="table", path="labels.csv")
    table = collect.collect(source.files(), tmp_path / "raw").set_index("file")
    assert manifest.count(table, "state") == {"kept": 4, "quarantined": 3}
    reasons = table["reason"].dropna()
    assert "there is no such file" in reasons["train/NORMAL/gone.png"]
    assert "symbolic link" in reasons["train/NORMAL/link.png"]
    assert "too long" in reasons[f"train/NORMAL/{'n' * 300}.png"]


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("path,label\na.png,NORMAL\nb.png,COVID\n", r"line 3: label 'COVID', expected NORMAL or"),
        ("path,label\na.png,\n", "line 2: label ''"),
        (
            "path,label,split\na.png,NORMAL,fold 1\n",
            "line 2: split 'fold 1', expected train, val or test",
        ),
        (
            "path,label\n/etc/passwd,NORMAL\n",
            "line 2: path '/etc/passwd' is of another place, expected a file below",
        ),
        ("path,label\n../a.png,NORMAL\n", "expected a file below the folder"),
        ("path,label\n,NORMAL\n", r"line 2: path '\.'"),
        ("path,label\na.png,NORMAL\n./a.png,pneumonia\n", "lines 2 and 3 .* in its label"),
        (
            "path,label,split\na.png,NORMAL,test\na.png,normal,train\n",
            "lines 2 and 3 are of one film and contradict each other in split",
        ),
        (
            "path,label,patient\na.png,NORMAL,P1\na.png,normal,\na.png,normal,P2\n",
            "lines 2 and 4 are of one film and contradict each other in patient",
        ),
        ("path,label\na.png,0\nb.png,1\n", r"line 2: label '0', .* ingest\.labels, such as"),
        ("path,label\na.png,Pnemonia\n", r"label 'Pnemonia', .*\[Pnemonia, 1\]"),
        ("path,label\na.png,NORMAL,x\n", "line 2 has 3 values for 2 columns"),
        ('path,label\n"a.png,NORMAL\n', "unexpected end of data"),
        ("path,path,label\na.png,b.png,NORMAL\n", "two columns called 'path'"),
        ("path,label\nC:\\films\\a.png,NORMAL\n", r"of another place, .* Set `root:`"),
        ("file,label\na.png,NORMAL\n", "has the columns file, label; expected path, label"),
        ("path,label\n", "lists no images"),
        ("", "has the columns of an empty file"),
    ],
)
def test_bad_table_names_its_line(
    listed: Callable[..., list[SourceFile]], csv: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        listed(csv)
    assert "labels.csv" in str(raised.value)


def test_other_encodings_are_named(listed: Callable[..., list[SourceFile]]) -> None:
    with pytest.raises(SourceError, match="save it as CSV UTF-8"):
        listed("path,label\nhôpital.png,NORMAL\n", "latin-1")


def test_missing_table_is_one_clear_error(open_description: Describe) -> None:
    with pytest.raises(SourceError, match=r"gone\.csv cannot be read"):
        open_description(kind="table", path="gone.csv").files()
