"""Where files lie: folders, buckets with all their versions, artifacts of MLflow.

A place lists its files by name, gives their bytes and removes them.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tasks.stores.buckets import Folder

VERSION = "@version="


class Place(Protocol):
    @property
    def address(self) -> str: ...

    def names(self) -> list[str]: ...

    def read(self, name: str) -> bytes: ...

    def remove(self, name: str) -> None: ...


@dataclass(frozen=True)
class LocalFolder:
    root: Path
    without: tuple[str, ...] = ()  # names of files and folders in it that are other places

    @property
    def address(self) -> str:
        return str(self.root)

    def names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(
            path.relative_to(self.root).as_posix()
            for top in self.root.iterdir()
            if top.name not in self.without
            for path in (top.rglob("*") if top.is_dir() else [top])
            if path.is_file()
        )

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def remove(self, name: str) -> None:
        """Remove a file, and the folders that are empty then: half a bundle is none."""
        path = self.root / name
        path.unlink(missing_ok=True)
        for folder in path.relative_to(self.root).parents[:-1]:
            if any((self.root / folder).iterdir()):
                break
            (self.root / folder).rmdir()


def path_of(name: str) -> str:
    """Return a name without the version that a bucket adds."""
    return name.rsplit(VERSION, 1)[0]


@dataclass(frozen=True)
class Bucket:
    """Every version of every object below an address; the version ends the name."""

    folder: Folder

    @property
    def address(self) -> str:
        return self.folder.address

    def names(self) -> list[str]:
        return sorted(f"{name}{VERSION}{version}" for name, version in self.folder.versions())

    def read(self, name: str) -> bytes:
        return self.folder.read_version(*name.rsplit(VERSION, 1))

    def remove(self, name: str) -> None:
        self.folder.delete_version(*name.rsplit(VERSION, 1))


@dataclass(frozen=True)
class RunArtifacts:
    """What MLflow keeps of a run."""

    run_id: str
    repository: Any  # MLflow's ArtifactRepository

    @property
    def address(self) -> str:
        return f"MLflow run {self.run_id}"

    def names(self) -> list[str]:
        return sorted(self._below(None))

    def _below(self, folder: str | None) -> list[str]:
        found: list[str] = []
        for entry in self.repository.list_artifacts(folder):
            found += self._below(entry.path) if entry.is_dir else [entry.path]
        return found

    def read(self, name: str) -> bytes:
        with tempfile.TemporaryDirectory() as scratch:
            return Path(self.repository.download_artifacts(name, scratch)).read_bytes()

    def remove(self, name: str) -> None:
        self.repository.delete_artifacts(name)
