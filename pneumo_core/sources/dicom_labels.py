"""Labels of DICOM files by a table: which file has which row, by its path or by a tag."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pneumo_core.errors import SourceError
from pneumo_core.labels import canonical
from pneumo_core.sources.description import Opening
from pneumo_core.sources.dicom_tags import read_tag
from pneumo_core.sources.folder import posix_below, walk
from pneumo_core.sources.tables.images import Images, posix
from pneumo_core.sources.tables.rows import Row, read_rows
from pneumo_core.sources.tables.settings import TableSettings

WITHOUT_ROW = "left out: {} DICOM files without a row in the table of labels"
WITHOUT_FILE = "left out: {} rows of the table of labels without a DICOM file"


class DicomLabels(TableSettings):
    # The column, of this name or mapped, by which a file finds its row
    match: Literal["path", "SOPInstanceUID", "StudyInstanceUID", "AccessionNumber"] = "path"


@dataclass(frozen=True)
class Claim:
    path: Path
    below: str  # its path below the source's root
    split: str
    label: str
    patient: str | None = None
    subtype: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)  # by the table of labels


def by_path(root: Path, labels: DicomLabels, opening: Opening) -> Iterator[Claim]:
    """Yield a claim for each row; its file need not be there. See `read_rows` for errors."""
    table = read_rows(labels, opening.path, opening.limits, opening.notes)
    images = Images([root])
    for row in table.rows:
        name, path = images.find(row.key, row.where)
        yield _claim(path, str(name), row)
    listed = {posix(key).as_posix() for key in table.keys}
    others = (
        path
        for path in walk(root)
        if path.name not in listed and str(posix_below(path, root)) not in listed
    )
    opening.notes.count(WITHOUT_ROW, sum(read_tag(path, "SOPInstanceUID") != "" for path in others))


def by_tag(root: Path, labels: DicomLabels, opening: Opening) -> Iterator[Claim]:
    """Yield a claim for each file whose tag has a row.

    Raises:
        SourceError: none has, or the table cannot be used.
    """
    table = read_rows(labels, opening.path, opening.limits, opening.notes, labels.match)
    rows = {canonical(row.key): row for row in table.rows}
    listed = {canonical(key) for key in table.keys}
    found = set()
    for path in walk(root):
        key = canonical(read_tag(path, labels.match))
        if key in listed:
            found.add(key)
        elif key or read_tag(path, "SOPInstanceUID"):
            opening.notes.count(WITHOUT_ROW)
        if row := rows.get(key):
            yield _claim(path, str(posix_below(path, root)), row)
    if not found:
        raise SourceError(
            f"No DICOM file has a row in the table of labels by {labels.match}: check that column "
            "(a spreadsheet removes zeros in front)."
        )
    opening.notes.count(WITHOUT_FILE, len(listed - found))


def _claim(path: Path, below: str, row: Row) -> Claim:
    return Claim(path, below, row.split, row.label, row.patient, row.subtype, row.metadata)
