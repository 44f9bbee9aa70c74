"""Where images come from: a folder, a zip archive, or a description of one (`.yaml`).

The known layout is that of the Kaggle archive, in upper or lower case:
`[anything/]{train,val,test}/{NORMAL,PNEUMONIA}/name`.
System litter (`__MACOSX`, `.DS_Store`, hidden files) is no image and is left out.
The Kaggle zip holds its tree twice: of two files that claim one place, the shallower one counts,
and the other is left out only if its bytes are the same.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from pneumo_core.errors import SourceError
from pneumo_core.manifest import LABELS, SPLITS
from pneumo_core.params import IngestParams

LITTER = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class SourceFile:
    split: str
    label: str
    name: str
    num_bytes: int
    read: Callable[[], bytes]  # raises OSError where the file cannot be read

    @property
    def image_id(self) -> str:
        return f"{self.split}/{self.label}/{self.name}"


class Source(Protocol):
    def files(self) -> list[SourceFile]:
        """Every file that claims to be an image, in the order of its id."""
        ...


def open_source(params: IngestParams) -> Source:
    """The source that a path stands for.

    Raises:
        SourceError: nothing is there, or it is no kind of source that pneumo knows.
    """
    from pneumo_core.archive import ZipSource
    from pneumo_core.phantom import PhantomSource

    path = Path(params.source)
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        raise SourceError(f"Nothing at {path}: give a folder, a zip or a .yaml description.")
    if path.suffix.lower() in {".yaml", ".yml"}:
        return PhantomSource.from_description(path)
    if path.suffix.lower() == ".zip":
        return ZipSource(path, params)
    raise SourceError(f"{path} is neither a folder, a zip nor a .yaml description.")


@dataclass(frozen=True)
class FolderSource:
    root: Path

    def files(self) -> list[SourceFile]:
        found = []
        for path in sorted(self.root.rglob("*")):
            if path.is_symlink() and path.is_dir():
                raise SourceError(f"{path} links to a folder: links are not followed, copy it.")
            if path.is_symlink() or path.is_file():
                place = parse_place(PurePosixPath(path.relative_to(self.root).as_posix()))
                if place is not None:
                    size = path.lstat().st_size
                    found.append((path, SourceFile(*place, size, _reader(path))))
        return settle_places(
            ((len(path.parts), file) for path, file in found), described_as=str(self.root)
        )


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        if path.is_symlink():
            raise OSError("symbolic link, not followed")
        return path.read_bytes()

    return read


def _same_bytes(first: SourceFile, second: SourceFile) -> bool:
    try:
        return first.read() == second.read()
    except OSError:
        return False  # nothing shows that they are


def parse_place(path: PurePosixPath) -> tuple[str, str, str] | None:
    """(split, label, name) that a path claims, or None where it claims no place."""
    if any(part.lower() in LITTER or part.startswith(".") for part in path.parts):
        return None
    if len(path.parts) < 3:
        return None
    split, label, name = path.parts[-3:]
    if split.lower() in SPLITS and label.upper() in LABELS:
        return split.lower(), label.upper(), name
    return None


def settle_places(
    files_by_depth: Iterable[tuple[int, SourceFile]], described_as: str
) -> list[SourceFile]:
    """One file a place, in the order of the ids.

    Raises:
        SourceError: no file has a place, or two different files claim one.
    """
    settled: dict[str, SourceFile] = {}
    for _, file in sorted(files_by_depth, key=lambda entry: (entry[0], entry[1].image_id)):
        first = settled.setdefault(file.image_id, file)
        if first is not file and not _same_bytes(first, file):
            raise SourceError(
                f"{described_as} holds two different files for {file.image_id}: "
                "rename or remove one of them."
            )
    if not settled:
        raise SourceError(
            f"No images in {described_as}: expected files in "
            "{train,val,test}/{NORMAL,PNEUMONIA}/, at any depth."
        )
    return [settled[image_id] for image_id in sorted(settled)]
