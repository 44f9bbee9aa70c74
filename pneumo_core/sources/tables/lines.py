"""Lines of a table, joined with those of other tables, and the cells by their names."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pneumo_core.csv_text import read_csv_text
from pneumo_core.errors import SourceError
from pneumo_core.labels import canonical
from pneumo_core.sources.metadata import identifies
from pneumo_core.sources.names import safe
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.tables.settings import Join

MAX_SHOWN = 40  # characters of a value in a message
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Line:
    number: int  # as an editor counts
    cells: Mapping[str, str]  # by the name of the column in lower case


@dataclass(frozen=True)
class Table:
    path: Path
    columns: tuple[str, ...]
    lines: list[Line]
    mapped: Mapping[str, str] = field(default_factory=dict)  # the table's columns by our names

    def cell(self, line: Line, name: str) -> str:
        """Return the text under a name of ours or of the table's; empty if there is none."""
        column = self.mapped.get(name, name)
        if _PLACEHOLDER.search(column):
            return _PLACEHOLDER.sub(lambda match: line.cells.get(_key(match[1]), ""), column)
        return line.cells.get(_key(column), "")

    def shown(self, line: Line, name: str) -> str:
        """Return a cell as a message may show it: short, and not if it can identify a patient."""
        if any(map(identifies, self.behind(name))):
            return "(not shown)"
        return safe(self.cell(line, name)[:MAX_SHOWN]) or "empty"

    def has(self, name: str) -> bool:
        there = {_key(column) for column in self.columns}
        return all(_key(column) in there for column in self.behind(name))

    def require(self, names: Iterable[str]) -> None:
        """Raise SourceError, which lists the columns, if a name of ours or theirs is not there."""
        there = {_key(column) for column in self.columns}
        for name in names:
            for column in self.behind(name):
                if _key(column) not in there:
                    raise SourceError(
                        f"{self.path} has no column {column!r}, only {_listed(self.columns)}. If "
                        f"it is called otherwise, set columns: {{{name}: ...}} in the description."
                    )

    def behind(self, name: str) -> list[str]:
        """Return the table's columns that give a name of ours or theirs."""
        column = self.mapped.get(name, name)
        return _PLACEHOLDER.findall(column) or [column]


def _key(column: str) -> str:
    return column.strip().casefold()


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(column or '""' for column in columns) or "those of an empty file"


def read_table(path: Path, separator: str | None, header: tuple[str, ...] | None) -> Table:
    """Return the lines of a CSV file.

    Raises:
        SourceError: it cannot be read, has two columns of one name, or a line with more values
            than there are columns.
    """
    try:
        lines = list(read_csv_text(path, separator).lines())
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read as a CSV file: {error}.") from error
    columns = tuple(header or (lines.pop(0)[1] if lines else ()))
    keys = [_key(column) for column in columns]
    if twice := sorted({column for column in keys if column and keys.count(column) > 1}):
        raise SourceError(f"{path} has two columns called {twice[0]!r}: rename or remove one.")
    read = []
    for number, cells in lines:
        if any(cells[len(keys) :]):
            raise SourceError(
                f"{path}, line {number} has {len(cells)} values for {len(keys)} columns: put "
                "quotation marks around a value that contains the separator."
            )
        read.append(Line(number, dict(zip(keys, cells, strict=False))))
    return Table(path, columns, read)


def join_tables(table: Table, other: Table, join: Join, used: Iterable[str], notes: Notes) -> Table:
    """Return the lines that the other table has too, with its values beside theirs.

    Args:
        used: names of columns; several lines of the other table under one key must agree in these.

    Raises:
        SourceError: a column of the key is missing, lines under one key contradict each other, or
            no line has a partner.
    """
    table.require(join.by)
    other.require(join.by)
    own = {_key(column) for column in table.columns}
    compared = sorted({_key(name) for name in used} - own)
    partners: dict[tuple[str, ...], Line] = {}
    for line in other.lines:
        first = partners.setdefault(
            tuple(canonical(other.cell(line, name)) for name in join.by), line
        )
        for column in compared:
            if canonical(first.cells.get(column, "")) != canonical(line.cells.get(column, "")):
                raise SourceError(
                    f"{other.path}: lines {first.number} and {line.number} have the same "
                    f"{' and '.join(join.by)} and contradict each other in {column!r}: correct one."
                )
    joined = []
    for line in table.lines:
        if partner := partners.get(tuple(canonical(table.cell(line, name)) for name in join.by)):
            joined.append(Line(line.number, {**partner.cells, **line.cells}))
        else:
            notes.count(f"left out: {{}} rows that {other.path.name} does not have")
    if table.lines and not joined:
        raise SourceError(
            f"No row of {table.path} has a partner in {other.path} by {' and '.join(join.by)}: "
            "check `join:` in the description."
        )
    columns = (*table.columns, *(each for each in other.columns if _key(each) not in own))
    return Table(table.path, columns, joined, table.mapped)
