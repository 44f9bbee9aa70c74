"""Films listed by a table (CSV) with their labels, and what else is known of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from pneumo_core.errors import SourceError
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.folder import reader
from pneumo_core.sources.patients import Patient, kermany, unknown
from pneumo_core.sources.source import SourceFile
from pneumo_core.sources.tables.images import Images
from pneumo_core.sources.tables.rows import Row, read_rows
from pneumo_core.sources.tables.settings import TableSettings, listed


class TableDescription(TableSettings, Description):
    kind: Literal["table"]
    root: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()  # of the images

    def source(self, opening: Opening) -> "TableSource":
        return TableSource(self, opening)


@dataclass(frozen=True)
class TableSource:
    wanted: TableDescription
    opening: Opening

    def files(self) -> list[SourceFile]:
        """Return the films. One whose file is not there fails when it is read.

        Raises:
            SourceError: the table is unusable (see `read_rows`), a folder of images or all of the
                images are not there, or an image cannot be told from another one.
        """
        opening = self.opening
        images = self._images()
        table = read_rows(self.wanted, opening.path, opening.limits, opening.notes)
        found = [(row, *images.find(row.key, row.where)) for row in table.rows]
        if not any(path.exists() for _, _, path in found):
            raise SourceError(
                f"None of the {len(found)} images that {opening.path(self.wanted.path)} names is "
                f"there, such as {found[0][1]}: {images.advice(found[0][1])}."
            )
        if images.stated:
            unnamed = images.count_unnamed(table.keys)
            opening.notes.count("left out: {} images that the table does not list", unnamed)
        files = [
            replace(_file(row, str(name), path), data_set=self.wanted.facts)
            for row, name, path in found
        ]
        return sorted(files, key=lambda file: file.place)

    def _images(self) -> Images:
        roots = [self.opening.path(root) for root in self.wanted.root]
        for root in roots:
            if not root.is_dir():
                raise SourceError(f"Nothing at {root}: `root:` must be the folder of the images.")
        table = self.opening.path(self.wanted.path)
        return Images(roots, stated=True) if roots else Images([table.parent], stated=False)


def _file(row: Row, name: str, path: Path) -> SourceFile:
    read = partial(_read_named, reader(path))
    file = SourceFile(row.split, row.label, name, _size(path), read, origin="table")
    file = replace(file, metadata=row.metadata)
    named = kermany(file.name)
    subtype = row.subtype or (named.subtype if named else None)
    if row.patient is None:
        return replace(file, patient=unknown(file.place, subtype))
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
