from pathlib import Path
from typing import Any

import pytest

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.tables.rows import Listed, read_rows
from pneumo_core.sources.tables.settings import TableSettings


class Tables:
    """Reads `t.csv` of a folder by settings; `notes` are those of the last reading."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, csv: str, *, params: dict[str, Any] | None = None, **more: Any) -> Listed:
        (self.folder / "t.csv").write_text(csv, "utf-8")
        settings = TableSettings.model_validate({"path": "t.csv", **more})
        limits = IngestParams(source="x", **(params or {}))
        self.notes = Notes()
        return read_rows(settings, self.folder.__truediv__, limits, self.notes)

    def classes(self, csv: str, **more: Any) -> dict[str, str]:
        return {row.key: row.label for row in self(csv, **more).rows}


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def test_lines_that_agree_are_one(tables: Tables) -> None:
    csv = "path,label,split,patient,sex\na.png,1,test,P,\n.\\a.png,PNEUMONIA,TEST,,F\n,,,,\n"
    (row,) = tables(csv, params={"labels": {"PNEUMONIA": [1]}}).rows
    assert (row.key, row.label, row.split, row.patient) == ("a.png", "PNEUMONIA", "test", "P")
    assert row.metadata == {"sex": "F"}
    assert tables.notes.sentences() == ["taken as one: the rows of 1 films that have several"]


def test_names_of_films_differ_by_case(tables: Tables) -> None:
    assert len(tables("path,label\na.png,NORMAL\nA.png,PNEUMONIA\n").rows) == 2


def test_words_for_nothing_name_no_patient(tables: Tables) -> None:
    words = ("nan", "NA", "None", "", "unknown", "#N/A")
    csv = "path,label,patient\n" + "".join(f"{n}.png,NORMAL,{w}\n" for n, w in enumerate(words))
    assert {row.patient for row in tables(csv).rows} == {None}


@pytest.mark.parametrize(
    "ids", [("00012", "12"), ("12.0", "12"), ("ab 1", " AB 1"), ("\uff11\uff12", "12")]
)
def test_a_patients_number_may_be_as_a_spreadsheet_changed_it(
    tables: Tables, ids: tuple[str, str]
) -> None:
    rows = tables(f"path,label,patient\na,NORMAL,{ids[0]}\nb,NORMAL,{ids[1]}\n").rows
    assert len({row.patient for row in rows}) == 1


@pytest.mark.parametrize("column", ["PatientID", "Patient ID", "subject_id", "MRN", "환자번호"])
def test_a_column_of_patients_is_known_under_its_usual_names(tables: Tables, column: str) -> None:
    csv = f"path,label,{column}\nIM-0001-0001.png,NORMAL,7\nIM-0002-0001.png,NORMAL,7\n"
    assert [row.patient for row in tables(csv).rows] == ["7", "7"]
    assert tables.notes.sentences() == [f"the patients of 2 rows are those of the column {column}"]
    stated = tables(csv, params={"patients": "kermany"})
    assert [row.patient for row in stated.rows] == [None, None]


def test_one_number_for_most_films_names_nobody(tables: Tables) -> None:
    """An export in which an anonymiser wrote one number; a patient with few films stays known."""
    numbers = ["1"] * 3 + ["2"] * 2
    csv = "path,label,patient\n" + "".join(f"{n}.png,NORMAL,{p}\n" for n, p in enumerate(numbers))
    assert [row.patient for row in tables(csv).rows] == [None, None, None, "2", "2"]
    assert tables.notes.sentences() == ["3 films have one patient number, which then names nobody"]
    few = "path,label,patient\na.png,NORMAL,1\nb.png,NORMAL,1\n"
    assert [row.patient for row in tables(few).rows] == ["1", "1"]


def test_two_columns_that_may_name_the_patient_are_a_question(tables: Tables) -> None:
    csv = "path,label,PatientID,MRN\na.png,NORMAL,7,8\n"
    with pytest.raises(SourceError, match=r"PatientID and MRN may both.*\{patient: PatientID\}"):
        tables(csv)
    rows = tables(csv, columns={"patient": "MRN"}).rows
    assert [row.patient for row in rows] == ["8"]


def test_a_column_that_names_the_film_names_no_patient(tables: Tables) -> None:
    csv = "patientId,label\na,NORMAL\n"
    assert [row.patient for row in tables(csv, columns={"path": "{patientId}.dcm"}).rows] == [None]


def test_an_anonymisers_word_names_no_patient_but_1_does(tables: Tables) -> None:
    csv = "path,label,patient\na,NORMAL,Anonymous\nb,NORMAL,1\nc,NORMAL,REMOVED\n"
    assert [row.patient for row in tables(csv).rows] == [None, "1", None]


@pytest.mark.parametrize("cells", [("1.00", "0.00"), ("1,0", "0,0"), ("+1", "0.")])
def test_numbers_are_equal_however_they_are_written(tables: Tables, cells: tuple[str, str]) -> None:
    csv = f"path;label\na;{cells[0]}\nb;{cells[1]}\n"
    found = tables.classes(csv, params={"labels": {"PNEUMONIA": [1], "NORMAL": [0]}})
    assert found == {"a": "PNEUMONIA", "b": "NORMAL"}


def test_no_message_shows_what_identifies_a_patient(tables: Tables) -> None:
    csv = "path,label,PatientName\na,NORMAL,Hong\nb,PNEUMONIA,Kim\n"
    assert tables.classes(csv, where={"PatientName": "Hong"}) == {"a": "NORMAL"}
    assert tables.notes.sentences() == ["left out: 1 films with PatientName (not shown)"]
    rules = {"NORMAL": {"column": "PatientName", "equals": "Hong"}, "PNEUMONIA": ["x"]}
    with pytest.raises(SourceError, match=r"PatientName '\(not shown\)', label 'PNEUMONIA'"):
        tables(csv, labels=rules)


@pytest.mark.parametrize("name", ["label", "split", "subtype", "age"])
def test_a_column_that_identifies_patients_is_only_the_patient(tables: Tables, name: str) -> None:
    csv = "path,label,Birth date\na,NORMAL,1950\n"
    with pytest.raises(SourceError, match=f"columns: {name}: 'Birth date' can identify a patient"):
        tables(csv, columns={name: "Birth date"})
    assert tables(csv, columns={"patient": "Birth date"}).rows[0].patient == "1950"


def test_where_keeps_the_named_values_and_counts_the_others(tables: Tables) -> None:
    csv = "path,label,View Position,n\na,NORMAL,pa,1.0\nb,NORMAL,LL,1\nc,NORMAL,,1\nd,NORMAL,AP,2\n"
    where = {"view": ["PA", "AP"], "n": 1}
    columns = {"view": "view position"}
    assert tables.classes(csv, where=where, columns=columns) == {"a": "NORMAL"}
    assert tables.notes.sentences() == [
        "left out: 1 films with view LL",
        "left out: 1 films with view empty",
        "left out: 1 films with n 2",
    ]
    with pytest.raises(SourceError, match="lists no images: all 4 are left out by"):
        tables(csv, where={"n": [7]})


def test_a_left_out_value_is_shown_safely(tables: Tables) -> None:
    tables("path,label,v\na,NORMAL,x\nb,NORMAL,<b>\x1b[31m" + "y" * 99 + "\n", where={"v": "x"})
    (sentence,) = tables.notes.sentences()
    assert sentence.startswith(r"left out: 1 films with v \x3cb\x3e\x1b[31my")
    assert len(sentence) < 80


UNCERTAIN = "path,Pneumonia,No Finding\na,1.0,\nb,0.0,\nc,-1.0,\nd,,1.0\n"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            {
                "PNEUMONIA": {"column": "Pneumonia", "equals": [1, -1]},
                "NORMAL": {"column": "pneumonia", "equals": [0, ""]},
            },
            {"a": "PNEUMONIA", "b": "NORMAL", "c": "PNEUMONIA", "d": "NORMAL"},
        ),
        (
            {
                "PNEUMONIA": {"column": "Pneumonia", "equals": 1},
                "NORMAL": [
                    {"column": "Pneumonia", "equals": [0, -1]},
                    {"column": "No Finding", "equals": 1},
                ],
            },
            {"a": "PNEUMONIA", "b": "NORMAL", "c": "NORMAL", "d": "NORMAL"},
        ),
        (
            {
                "PNEUMONIA": {"column": "Pneumonia", "equals": 1},
                "NORMAL": {"column": "No Finding", "equals": 1},
                "left_out": {"column": "Pneumonia", "equals": -1},
                "others": "left_out",
            },
            {"a": "PNEUMONIA", "d": "NORMAL"},
        ),
    ],
)
def test_each_value_goes_where_the_rules_say(
    tables: Tables, labels: dict[str, Any], expected: dict[str, str]
) -> None:
    assert tables.classes(UNCERTAIN, labels=labels) == expected
    assert sum(tables.notes.counts().values()) == 4 - len(expected)


def test_a_value_in_no_rule_stops_unless_others_are_left_out(tables: Tables) -> None:
    rules = {"PNEUMONIA": ["Pnemonia", 1], "NORMAL": "Normal"}
    csv = "path,label\na,pnemonia\nb,1.0\nc,normal\nd,COVID\n"
    with pytest.raises(SourceError, match=r"line 5 is neither .* \(label 'COVID'\): add the value"):
        tables(csv, labels=rules)
    rules["others"] = "left_out"
    assert list(tables.classes(csv, labels=rules)) == ["a", "b", "c"]


def test_a_line_of_both_classes_is_an_error(tables: Tables) -> None:
    rules = {"PNEUMONIA": {"contains": "Pneumonia"}, "NORMAL": {"contains": "No Finding"}}
    with pytest.raises(SourceError, match="line 2 is both NORMAL and PNEUMONIA"):
        tables("path,label\na,Pneumonia|No Finding\n", labels=rules)


READERS = "path,label,who\n" + "".join(
    f"{film},{label},{who}\n"
    for film, labels in {"a": "PPN", "b": "PNN", "c": "PN", "d": "NN", "e": "PP"}.items()
    for who, label in enumerate(labels)
)


@pytest.mark.parametrize(
    ("readers", "expected"),
    [
        ("majority", {"a": "PNEUMONIA", "b": "NORMAL", "d": "NORMAL", "e": "PNEUMONIA"}),
        (
            "any",
            {"a": "PNEUMONIA", "b": "PNEUMONIA", "c": "PNEUMONIA", "d": "NORMAL", "e": "PNEUMONIA"},
        ),
        ("all", {"d": "NORMAL", "e": "PNEUMONIA"}),
    ],
)
def test_readers_count_as_stated(tables: Tables, readers: str, expected: dict[str, str]) -> None:
    rules = {"PNEUMONIA": "P", "NORMAL": "N"}
    with pytest.raises(SourceError, match=r"lines 2 and 4 .*readers: majority, any or all"):
        tables(READERS, labels=rules)
    assert tables.classes(READERS, labels=rules, readers=readers) == expected
    disagree = tables.notes.counts().get("left out: {} films whose readers disagree", 0)
    assert disagree == 5 - len(expected)


def test_several_boxes_of_a_reader_are_one_reading(tables: Tables) -> None:
    csv = "path,label,who\na,P,1\na,other,1\na,P,1\na,N,2\na,N,3\n"
    rules = {"PNEUMONIA": "P", "NORMAL": "N", "others": "left_out"}
    more: dict[str, Any] = {"labels": rules, "readers": "majority", "columns": {"reader": "who"}}
    assert tables.classes(csv, **more) == {"a": "NORMAL"}


def test_the_split_is_stated_or_by_column(tables: Tables) -> None:
    rows = tables("path,label,split\na,NORMAL,\nb,NORMAL,VALID\n", split="test").rows
    assert [row.split for row in rows] == ["test", "val"]


def test_a_path_may_be_a_pattern_of_several_columns(tables: Tables) -> None:
    csv = "patient,Image Id,label\n7,x,NORMAL\n"
    (row,) = tables(csv, columns={"path": "{patient}/{image id}.png"}).rows
    assert row.key == "7/x.png"
    with pytest.raises(SourceError, match="has no column 'dicom_id', only patient, Image Id"):
        tables(csv, columns={"path": "{dicom_id}.png"})


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": "Alter"}, r"no column 'Alter', only path, label\. .* columns: \{age: \.\.\.\}"),
        ({"site": "Patient Name"}, "columns: site: 'Patient Name' can identify a patient"),
        ({"view": "label"}, "'label' is not metadata"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(
    tables: Tables, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        tables("path,label\na,NORMAL\n", columns=columns)


def test_other_tables_are_joined(tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(
        "study;label;sex;x\n1.0;NORMAL;F;1\n1;normal;F;2\n2;PNEUMONIA;M;\n"
    )
    (tmp_path / "c.csv").write_text("path,view\na,PA\nb,AP\nd,PA\n")
    join = [{"path": "b.csv", "by": "study"}, {"path": "c.csv", "by": ["path"]}]
    rows = tables("path,study\na,1\nb,2\nc,3\n", join=join).rows
    assert [(row.key, row.label, row.metadata) for row in rows] == [
        ("a", "NORMAL", {"sex": "F", "view": "PA"}),
        ("b", "PNEUMONIA", {"sex": "M", "view": "AP"}),
    ]
    assert tables.notes.sentences() == ["left out: 1 rows that b.csv does not have"]


def test_joins_that_cannot_be_are_refused(tables: Tables, tmp_path: Path) -> None:
    csv, join = "path,study\na,1\n", {"path": "b.csv", "by": "study"}
    (tmp_path / "b.csv").write_text("study,label\n1,NORMAL\n1,PNEUMONIA\n")
    with pytest.raises(SourceError, match=r"b\.csv: lines 2 and 3 .* contradict .* 'label'"):
        tables(csv, join=join)
    (tmp_path / "b.csv").write_text("study,label\n9,NORMAL\n")
    with pytest.raises(SourceError, match=r"No row of .* has a partner in .*b\.csv by study"):
        tables(csv, join=join)
    (tmp_path / "b.csv").write_text("exam,label\n9,NORMAL\n")
    with pytest.raises(SourceError, match="has no column 'study', only exam, label"):
        tables(csv, join=join)
