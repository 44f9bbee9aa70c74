"""Images listed by a CSV file: `path` (relative to it), `label`, and what else is known."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Literal

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.folder import reader
from pneumo_core.sources.layout import parse_label, parse_split
from pneumo_core.sources.patients import Patient, kermany, unknown
from pneumo_core.sources.source import SourceFile


class TableDescription(Description):
    kind: Literal["table"]
    path: str  # of the CSV

    def source(self, opening: Opening) -> "TableSource":
        return TableSource(opening.path(self.path), opening.limits)


@dataclass(frozen=True)
class Row:
    path: PurePosixPath  # below the CSV's folder
    split: str
    label: str
    patient: str | None
    subtype: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class TableSource:
    path: Path
    limits: IngestParams

    def files(self) -> list[SourceFile]:
        """Return the images; see `read_rows` for errors. A missing file fails when it is read."""
        files = [self._file(row) for row in read_rows(self.path, self.limits)]
        return sorted(files, key=lambda file: file.image_id)

    def _file(self, row: Row) -> SourceFile:
        path = self.path.parent / row.path
        read = partial(_read_named, reader(path))
        file = SourceFile(row.split, row.label, str(row.path), _size(path), read, origin="table")
        file = replace(file, metadata=row.metadata)
        named = kermany(file.name)
        subtype = row.subtype or (named.subtype if named else None)
        if row.patient is None:
            return replace(file, patient=unknown(file.image_id, subtype))
        return replace(file, patient=Patient(row.patient, row.patient, "column", subtype))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # reading it raises the reason


def _read_named(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except FileNotFoundError as error:
        raise OSError("the table names it, but there is no such file") from error


def read_rows(path: Path, limits: IngestParams) -> list[Row]:
    """Return the rows of a CSV.

    Raises:
        SourceError: not a CSV in UTF-8 with the columns `path` and `label`, or a row, which the
            message names, with an unknown label or split, a path outside or an image twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, skipinitialspace=True)
            lines.fieldnames = [name.strip().lower() for name in lines.fieldnames or []]
            if not {"path", "label"} <= set(lines.fieldnames):
                raise SourceError(
                    f"{path} has the columns {', '.join(lines.fieldnames) or 'of an empty file'}; "
                    "expected path, label, and maybe split, patient, subtype."
                )
            rows = [(lines.line_num, _row(line, path, lines.line_num, limits)) for line in lines]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{path} cannot be read as a CSV file in UTF-8: {error}.") from error
    if not rows:
        raise SourceError(f"{path} lists no images.")
    _check_no_image_twice(rows, path)
    return [row for _, row in rows]


def _row(line: dict[str, str | None], table: Path, number: int, limits: IngestParams) -> Row:
    where = f"{table}, line {number}"

    def cell(name: str) -> str:
        return (line.get(name) or "").strip()

    path = PurePosixPath(cell("path").replace("\\", "/"))
    if not path.name or path.is_absolute() or ".." in path.parts:
        raise SourceError(
            f"{where}: path {cell('path')!r}, expected a file below the table's folder."
        )
    return Row(
        path,
        parse_split(cell("split") or "train", where),
        parse_label(cell("label"), where, limits.class_names),
        cell("patient") or None,
        cell("subtype").lower() or None,
        {name: cell(name.lower()) for name in limits.metadata if name.lower() in line},
    )


def _check_no_image_twice(rows: list[tuple[int, Row]], table: Path) -> None:
    first: dict[tuple[str, str, PurePosixPath], int] = {}
    for number, row in rows:
        before = first.setdefault((row.split, row.label, row.path), number)
        if before != number:
            raise SourceError(f"{table}: lines {before} and {number} both name {row.path}.")
