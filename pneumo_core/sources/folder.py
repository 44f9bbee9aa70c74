"""A folder of images in the known layout."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pneumo_core.errors import SourceError
from pneumo_core.sources.layout import CLASS_NAMES, find_places, require_placed, settle_places
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import SourceFile


@dataclass(frozen=True)
class FolderSource:
    root: Path
    ignore: tuple[str, ...] = ()  # folders whose images are left out
    class_names: Mapping[str, str] = field(default_factory=lambda: CLASS_NAMES)
    notes: Notes = field(default_factory=Notes)

    def files(self) -> list[SourceFile]:
        """Return the images in the known layout.

        Raises:
            SourceError: no images, images in no split and class, a linked folder, or one that
                cannot be read.
        """
        files = [(posix_below(path, self.root), path) for path in walk(self.root)]
        placed, others = find_places(files, self.class_names, self.ignore, self.notes)
        require_placed(placed, others, str(self.root), self.notes)
        found = []
        for place, below, path in placed:
            file = SourceFile(*place, path.lstat().st_size, reader(path), origin="folder")
            found.append((len(below.parts), file))
        return settle_places(found, described_as=str(self.root))


def walk(root: Path) -> Iterator[Path]:
    """Return every file below a folder, sorted.

    Raises:
        SourceError: a linked folder, or one that cannot be read.
    """
    entries = []
    for folder, folders, names in os.walk(root, onerror=_refuse):
        for each in (Path(folder, name) for name in folders):
            if each.is_symlink():
                raise SourceError(f"{each} links to a folder: links are not followed, copy it.")
        entries += [Path(folder, name) for name in names]
    yield from sorted(entries)


def _refuse(error: OSError) -> None:
    raise SourceError(f"Cannot read a folder of images: {error}.") from error


def posix_below(path: Path, root: Path) -> PurePosixPath:
    """Return the path below the root; bytes of a name that are not UTF-8 become `\\xNN`."""
    return PurePosixPath(os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace"))


def reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        if path.is_symlink():
            raise OSError("symbolic link, not followed")
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")
        return path.read_bytes()

    return read
