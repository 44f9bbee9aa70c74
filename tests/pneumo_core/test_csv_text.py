from pathlib import Path

import pytest

from pneumo_core.csv_text import CsvText, read_csv_text

ROWS = [["path", "label"], ["a,b;c.png", "환자"]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp949"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encoding_separator_and_line_ends_are_found_out(
    tmp_path: Path, separator: str, encoding: str, end: str
) -> None:
    lines = [f"path{separator}label", "", f'"a,b;c.png"{separator} 환자 ', separator, separator]
    (tmp_path / "t.csv").write_bytes(end.join(lines).encode(encoding))
    found = read_csv_text(tmp_path / "t.csv")
    assert found.separator == separator
    assert [cells for _, cells in found.lines()] == ROWS


def test_lines_are_numbered_as_an_editor_counts() -> None:
    lines = CsvText('a,b\n\n"x\ny",2\n3,4\n', ",").lines()
    assert list(lines) == [(1, ["a", "b"]), (4, ["x\ny", "2"]), (5, ["3", "4"])]


def test_spaces_separate_where_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("379 a.jpeg pneumonia cohen\n")
    assert read_csv_text(tmp_path / "t.txt").separator == " "
    assert read_csv_text(tmp_path / "t.txt", ";").separator == ";"


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_excels_line_about_the_separator_is_no_line(
    tmp_path: Path, first: str, encoding: str
) -> None:
    (tmp_path / "t.csv").write_bytes(f"{first}\r\na;b,c,d\r\n1;2\r\n".encode(encoding))
    found = read_csv_text(tmp_path / "t.csv")
    assert list(found.lines()) == [(2, ["a", "b,c,d"]), (3, ["1", "2"])]


def test_a_separator_in_quotation_marks_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"a;b;c;d",label,x\n')
    assert read_csv_text(tmp_path / "t.csv").separator == ","


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04...", "a spreadsheet or a zip: save it from the spreadsheet as CSV UTF-8"),
        (b"\x1f\x8b...", "compressed: unpack it first"),
        ("hôpital,b\n".encode("latin-1"), "neither|not text in UTF-8, UTF-16 or Korean cp949"),
        ("path,label\n".encode("utf-16-le"), "save it as CSV UTF-8"),
        (b"\x00\x01\x02", "save it as CSV UTF-8"),
    ],
)
def test_what_is_no_text_says_what_to_do(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_csv_text(tmp_path / "t.csv")


@pytest.mark.parametrize("text", ['a,b\n"x,1\ny,2\n', 'a,b\n"x"z,1\n'])
def test_a_quotation_mark_that_is_not_closed_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"^line "):
        list(CsvText(text, ",").lines())
