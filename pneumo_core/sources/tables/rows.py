"""Films that a table lists: one row each, from however many lines."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pneumo_core.errors import SourceError
from pneumo_core.labels import LABELS, UNSPLIT, canonical
from pneumo_core.params import IngestParams
from pneumo_core.sources.facts import other_number
from pneumo_core.sources.layout import parse_split
from pneumo_core.sources.metadata import is_missing, require_harmless, require_unidentifying
from pneumo_core.sources.names import safe
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.patient_rules import AUTO, COLUMN
from pneumo_core.sources.patients import canonical_id, names_nobody, number_of_nobody
from pneumo_core.sources.tables.classes import Classes
from pneumo_core.sources.tables.images import posix
from pneumo_core.sources.tables.lines import Line, Table, join_tables, read_table
from pneumo_core.sources.tables.settings import TableSettings

PATIENT_COLUMNS = {  # in lower case, letters and digits alone
    *("patientid", "patientno", "patientnr", "patientnumber", "patientcode", "patientkey"),
    *("patients", "subject", "subjectid", "subjectno", "mrn", "pid", "환자", "환자번호", "환자id"),
}


@dataclass(frozen=True)
class Row:
    key: str  # the path as the table has it, or another column by which films are found
    where: str  # the table and the line, for messages
    split: str
    label: str
    patient: str | None
    subtype: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Listed:
    rows: list[Row]  # of the films that are used
    keys: list[str]  # of all films, used or left out


def read_rows(
    settings: TableSettings,
    path_of: Callable[[str], Path],
    limits: IngestParams,
    notes: Notes,
    key: str = "path",
) -> Listed:
    """Return a row for each film.

    Args:
        path_of: gives the path that a description means.
        key: name of the column that tells films apart.

    Raises:
        SourceError: the table cannot be read, lacks a column, lists no film, or a line has an
            unknown label or split or contradicts another one. Messages name the lines.
    """
    table = _read(settings, path_of, limits, notes, key)
    films: dict[str, list[Line]] = {}
    for line in table.lines:
        text = table.cell(line, key)
        same = posix(text).as_posix() if key == "path" else canonical(text)
        films.setdefault(same, []).append(line)
    classes = Classes(table, settings, limits.class_names)
    rows = []
    for lines in films.values():
        used = [line for line in lines if _left_out(table, line, settings) is None]
        label = classes.of_film(used) if used else _left_out(table, lines[0], settings)
        if label in LABELS:
            rows.append(_row(table, used, label, settings, limits, key))
            if len(used) > 1:
                notes.count("taken as one: the rows of {} films that have several")
        elif label:
            notes.count(label)
    if not rows:
        left_out = f": all {len(films)} are left out by `where` or `labels`" if films else ""
        raise SourceError(f"{table.path} lists no images{left_out}.")
    rows = _without_nobody(rows, notes)
    return Listed(rows, [table.cell(lines[0], key) for lines in films.values()])


def _without_nobody(rows: list[Row], notes: Notes) -> list[Row]:
    """Return the rows; one number for most films is nobody's, and their patients are unknown."""
    nobody = number_of_nobody((row.patient or "", row.key) for row in rows)
    if nobody is None:
        return rows
    same = sum(row.patient == nobody for row in rows)
    notes.count("{} films have one patient number, which then names nobody", same)
    return [replace(row, patient=None) if row.patient == nobody else row for row in rows]


def _read(
    settings: TableSettings,
    path_of: Callable[[str], Path],
    limits: IngestParams,
    notes: Notes,
    key: str,
) -> Table:
    for name in limits.metadata:
        require_harmless([settings.columns.get(name, name)], f"columns: {name}")
    for name in ("label", "split", "subtype"):
        require_unidentifying(settings.columns.get(name, name), f"columns: {name}")
    table = read_table(path_of(settings.path), settings.separator, settings.header)
    table = Table(table.path, table.columns, table.lines, settings.columns)
    if settings.data_set is not None:
        num_listed = len({table.cell(line, key) for line in table.lines})
        if note := other_number(settings.data_set, settings.split or UNSPLIT, num_listed):
            notes.count(note, num_listed)
    rules = settings.labels
    every_rule = () if rules is None else (*rules.NORMAL, *rules.PNEUMONIA, *rules.left_out)
    needed = {key, *settings.columns, *settings.where, *(rule.column for rule in every_rule)}
    needed |= {"label"} if rules is None else set()
    for each in settings.join:
        other = read_table(path_of(each.path), None, None)
        names = {*needed, *limits.metadata, "split", "patient", "subtype"}
        used = {column for name in names for column in table.behind(name)}
        table = join_tables(table, other, each, used, notes)
    _require(table, needed, key)
    if settings.data_set is None and limits.patients in (AUTO, COLUMN):
        return _with_patient_column(table, key, notes)
    return table


def _with_patient_column(table: Table, key: str, notes: Notes) -> Table:
    """Return the table whose column of patients, if it is called otherwise, is known as such.

    Without it a rule about the names of files could take films of one patient for several.
    """
    if table.has("patient") or "patient" in table.mapped:
        return table
    found = [
        column
        for column in table.columns
        if re.sub(r"[\W_]", "", column.casefold()) in PATIENT_COLUMNS
        and column not in table.behind(key)
    ]
    if len(found) > 1:
        raise SourceError(
            f"{table.path}: {' and '.join(found)} may both name the patient: set columns: "
            f"{{patient: {found[0]}}} in the description."
        )
    if not found:
        return table
    notes.count(
        f"the patients of {{}} rows are those of the column {safe(found[0])}", len(table.lines)
    )
    return replace(table, mapped={**table.mapped, "patient": found[0]})


def _require(table: Table, needed: Iterable[str], key: str) -> None:
    plain = [name for name in (key, "label") if name in needed and name not in table.mapped]
    if missing := [name for name in plain if not table.has(name)]:
        raise SourceError(
            f"{table.path} has the columns {', '.join(table.columns) or 'of an empty file'}; "
            f"expected {', '.join(plain)}, and maybe split, patient, subtype. If they are called "
            f"otherwise, say so in the description: columns: {{{': ..., '.join(missing)}: ...}}. "
            "If several columns give the label, set `labels:`; sources/table.yaml shows both."
        )
    table.require(sorted(needed))


def _left_out(table: Table, line: Line, settings: TableSettings) -> str | None:
    """Return the sentence of `Notes` if `where` leaves a line out."""
    for column, values in settings.where.items():
        if canonical(table.cell(line, column)) not in {canonical(value) for value in values}:
            return f"left out: {{}} films with {column} {table.shown(line, column)}"
    return None


def _row(
    table: Table,
    lines: Sequence[Line],
    label: str,
    settings: TableSettings,
    limits: IngestParams,
    key: str,
) -> Row:
    def agreed(name: str) -> str:
        """Return the value of all lines that have one."""
        given: dict[str, Line] = {}
        for line in lines:
            if not is_missing(text := table.cell(line, name)):
                given.setdefault(canonical(text), line)
        if len(given) > 1:
            one, other = [line.number for line in given.values()][:2]
            raise SourceError(
                f"{table.path}: lines {one} and {other} are of one film and contradict each "
                f"other in {name}: correct one."
            )
        return "".join(table.cell(line, name) for line in given.values())

    where = f"{table.path}, line {lines[0].number}"
    split, patient = agreed("split") or settings.split, agreed("patient")
    return Row(
        table.cell(lines[0], key),
        where,
        parse_split(split, where) if split else UNSPLIT,
        label,
        None if names_nobody(patient) else canonical_id(patient),
        agreed("subtype").lower() or None,
        {name: agreed(name) for name in limits.metadata if table.has(name)},
    )
