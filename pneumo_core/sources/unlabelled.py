"""A folder of unlabelled films, to be described or read by a model, not for training."""

from dataclasses import dataclass
from pathlib import Path

from pneumo_core.errors import SourceError
from pneumo_core.sources.folder import posix_below, reader, walk
from pneumo_core.sources.layout import is_litter, parse_place
from pneumo_core.sources.source import SourceFile

SPLIT, LABEL = "later", "UNLABELLED"


def holds_labelled_films(root: Path) -> bool:
    """Return whether a file has a place in the known layout; see `walk` for errors."""
    return any(parse_place(posix_below(path, root)) for path in walk(root))


@dataclass(frozen=True)
class UnlabelledFolder:
    root: Path

    def files(self) -> list[SourceFile]:
        """Return every file of the folder.

        Raises:
            SourceError: it has no file, a linked folder, or one that cannot be read.
        """
        found = []
        for path in walk(self.root):
            name = posix_below(path, self.root)
            if not is_litter(name):
                size = path.lstat().st_size
                file = SourceFile(SPLIT, LABEL, str(name), size, reader(path), origin="folder")
                found.append(file)
        if not found:
            raise SourceError(f"No files in {self.root}.")
        return found
