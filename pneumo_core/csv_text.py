"""CSV files as people have them: their encoding and their separator are found out."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEPARATORS = (",", ";", "\t", "|")
_EXCEL = re.compile(r'"?sep=(?P<separator>[^\r\n])"?(?=[\r\n]|$)', re.IGNORECASE)  # its first line
_NOT_TEXT = {
    b"PK\x03\x04": "a spreadsheet or a zip: save it from the spreadsheet as CSV UTF-8",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet: save it from there as CSV UTF-8",
    b"\x1f\x8b": "compressed: unpack it first (gunzip)",
}


@dataclass(frozen=True)
class CsvText:
    text: str
    separator: str

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of each line that is not empty, as an editor counts, and its cells.

        Raises:
            ValueError: a quotation mark is not closed, or stands where none may.
        """
        reader = csv.reader(
            io.StringIO(self.text, newline=""),
            delimiter=self.separator,
            skipinitialspace=True,
            strict=True,
        )
        try:
            for cells in reader:
                cells = [cell.strip() for cell in cells]
                if any(cells):
                    yield reader.line_num, cells
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error


def read_csv_text(path: Path, separator: str | None = None) -> CsvText:
    """Return the text of a CSV file and its separator, which is found out where it is not given.

    A first line such as `sep=;`, which Excel reads, says the separator and is no line of the table.
    It may be UTF-8 (with a byte order mark or without), UTF-16 (with one) or Korean cp949.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not text in one of these encodings; the message says what to do.
    """
    text = _decode(path.read_bytes())
    if stated := _EXCEL.match(text):
        separator, text = separator or stated["separator"], text[stated.end() :]
    first = next((line for line in text.splitlines() if line.strip()), "")
    return CsvText(text, separator or _separator(re.sub(r'"[^"]*"', "", first)))


def _separator(line: str) -> str:
    best = max(SEPARATORS, key=line.count)
    return " " if best not in line and " " in line.strip() else best


def _decode(data: bytes) -> str:
    for start, what in _NOT_TEXT.items():
        if data.startswith(start):
            raise ValueError(f"it is {what}")
    utf_16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if utf_16 else ("utf-8-sig", "cp949"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and (encoding != "cp949" or _is_korean(text)):
            return text
    raise ValueError("it is not text in UTF-8, UTF-16 or Korean cp949: save it as CSV UTF-8")


def _is_korean(text: str) -> bool:
    """Return whether all letters beyond ASCII are Hangul, which another encoding rarely gives."""
    return all("\uac00" <= letter <= "\ud7a3" for letter in text if ord(letter) > 127)
