"""Images that a table names, found below one or more folders."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from pneumo_core.errors import SourceError
from pneumo_core.labels import canonical
from pneumo_core.sources.folder import posix_below, walk
from pneumo_core.sources.layout import IMAGE_SUFFIXES, is_litter


@dataclass(frozen=True)
class Images:
    roots: Sequence[Path]
    stated: bool = True  # the folders, by the description; else they are the table's own

    def find(self, text: str, where: str) -> tuple[PurePosixPath, Path]:
        """Return the name of an image below the folders, and its path, where it need not exist.

        A name without folders is looked for in all folders below.

        Raises:
            SourceError: it points outside, or through a linked folder, or several files fit; the
                message begins with `where`.
        """
        name = self._relative(posix(text), where)
        for folder in (root / parent for root in self.roots for parent in list(name.parents)[:-1]):
            if folder.is_symlink():
                raise SourceError(
                    f"{where}: {folder} links to a folder: links are not followed, copy it."
                )
        found = [root / name for root in self.roots if _exists(root / name)]
        if not found and len(name.parts) == 1:
            found = self._by_name.get(name.name, [])
        if len(found) > 1:
            raise SourceError(
                f"{where}: {len(found)} files fit the name of the image: write it with its folder."
            )
        return name, found[0] if found else self.roots[0] / name

    def advice(self, name: PurePosixPath) -> str:
        """Return how to mend a description whose images are not there, by the name of one."""
        same = (path for paths in self._by_name.values() for path in paths)
        near = next((path for path in same if canonical(path.stem) == canonical(name.stem)), None)
        if near is None:
            return "set `root:` in the description to their folder"
        if near.name == name.name:
            return f"it is {near}, so set `root:` to the folder in which the table's paths begin"
        return (
            f"{near} differs from it in case or ending: correct the table, or add the ending, such "
            'as columns: {path: "{image_id}.png"}'
        )

    def _relative(self, path: PurePosixPath, where: str) -> PurePosixPath:
        if not path.name or ".." in path.parts:
            raise SourceError(f"{where}: path {str(path)!r}, expected a file below the folder.")
        if not path.is_absolute() and not PureWindowsPath(path).drive:
            return path
        for root in self.roots:
            if path.is_relative_to(root.absolute().as_posix()):
                return path.relative_to(root.absolute().as_posix())
        if self.stated:
            return PurePosixPath(path.name)
        raise SourceError(
            f"{where}: path {str(path)!r} is of another place, expected a file below the table's "
            "folder. Set `root:` in the description to the folder of the images: they are then "
            "found by their names."
        )

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for root in self.roots:
            for path in walk(root):
                found.setdefault(path.name, []).append(path)
        return found

    def count_unnamed(self, names: Iterable[str]) -> int:
        """Return the number of images below the folders that are not among the names."""
        named = {posix(name).name for name in names}
        return sum(
            path.suffix.lower() in IMAGE_SUFFIXES
            and path.name not in named
            and not is_litter(posix_below(path, root))
            for root in self.roots
            for path in walk(root)
        )


def posix(text: str) -> PurePosixPath:
    """Return a path that may be written with Windows' backslashes."""
    return PurePosixPath(text.replace("\\", "/"))


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:  # also a name that is too long
        return False
    return True
