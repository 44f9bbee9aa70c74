"""Films of one size in a few files: shards of raw bytes, cut where their content says so.

The order of the rows and the bounds of the shards follow from the keys of the rows alone, so the
same films give the same files, and a film more or less changes the shard that it falls into and no
other. Rows that are there already are not made again.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pneumo_core.atomic import replacing_file, write_text
from pneumo_core.errors import DataError
from pneumo_core.images import Gray, Images

INDEX = "index.json"
MEAN_SHARD_ROWS, MAX_SHARD_ROWS = 128, 512


@dataclass(frozen=True)
class PackedImages:
    """Reads like an array [N, size, size] of bytes; rows are mapped from disk as they are asked."""

    folder: Path
    rule: str  # how the rows were made
    keys: tuple[str, ...]  # of each row, hexadecimal
    notes: tuple[Any, ...]  # what the packer was told of each row
    shards: tuple[tuple[str, int, str], ...]  # name, rows, SHA-256 of the file
    size_px: int

    @classmethod
    def open(cls, folder: Path) -> "PackedImages":
        """Raises DataError where nothing was packed."""
        try:
            index = json.loads((folder / INDEX).read_text("utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"No packed images in {folder}: run the stage before.") from error
        shards = tuple((name, rows, sha) for name, rows, sha in index["shards"])
        keys, notes = tuple(index["keys"]), tuple(index["notes"])
        return cls(folder, index["rule"], keys, notes, shards, index["size_px"])

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self), self.size_px, self.size_px

    def __getitem__(self, rows: int | slice | npt.NDArray[np.integer] | Sequence[int]) -> Images:
        """One row [size, size], mapped, or several [M, size, size], copied into memory."""
        if isinstance(rows, int | np.integer):
            shard = int(np.searchsorted(self._ends, rows, "right"))
            one: Images = self._map(shard)[rows - self._ends[shard] + self.shards[shard][1]]
            return one
        wanted = np.arange(len(self))[rows] if len(self) else np.empty(0, np.int64)
        images = np.empty((len(wanted), self.size_px, self.size_px), np.uint8)
        shard_of = np.searchsorted(self._ends, wanted, "right")
        for shard in np.unique(shard_of):
            here = shard_of == shard
            start = self._ends[shard] - self.shards[shard][1]
            images[here] = self._map(int(shard))[wanted[here] - start]
        return images

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum([rows for _, rows, _ in self.shards])

    @cached_property
    def _maps(self) -> dict[int, Images]:
        return {}

    def _map(self, shard: int) -> Images:
        if shard not in self._maps:
            self._maps[shard] = np.load(self.folder / self.shards[shard][0], mmap_mode="r")
        return self._maps[shard]

    def intact(self) -> dict[str, int]:
        """Row by key, of the shards whose bytes are still those that were written."""
        row_of: dict[str, int] = {}
        end = 0
        for name, rows, sha in self.shards:
            start, end = end, end + rows
            if (self.folder / name).is_file() and _sha256(self.folder / name) == sha:
                row_of |= zip(self.keys[start:end], range(start, end), strict=True)
        return row_of


@dataclass
class Packer:
    """Takes the rows in their order; see `packing`."""

    folder: Path
    rule: str
    size_px: int
    _before: PackedImages | None
    _row_of: dict[str, int]
    _keys: list[str] = field(default_factory=list)
    _notes: list[Any] = field(default_factory=list)
    _shards: list[tuple[str, int, str]] = field(default_factory=list)
    _open: list[Gray] = field(default_factory=list)

    def get(self, key: str) -> tuple[Gray, Any] | None:
        """The row and its note as the run before left them, if it followed the same rule."""
        if self._before is None or key not in self._row_of:
            return None
        row = self._row_of[key]
        return self._before[row], self._before.notes[row]

    def add(self, key: str, pixels: Gray, note: Any = None) -> None:
        self._keys.append(key)
        self._notes.append(note)
        self._open.append(pixels)
        if int(key[:8], 16) % MEAN_SHARD_ROWS == 0 or len(self._open) == MAX_SHARD_ROWS:
            self._write_shard()

    def _write_shard(self) -> None:
        if not self._open:
            return
        keys = self._keys[-len(self._open) :]
        name = f"{hashlib.sha256(' '.join([self.rule, *keys]).encode()).hexdigest()[:32]}.npy"
        path = self.folder / name
        if any(key not in self._row_of for key in keys) or not path.is_file():
            with replacing_file(path) as draft, draft.open("wb") as file:
                np.save(file, np.stack(self._open))
        self._shards.append((name, len(keys), _sha256(path)))
        self._open.clear()

    def finish(self) -> None:
        self._write_shard()
        index = {"rule": self.rule, "size_px": self.size_px, "shards": self._shards}
        index |= {"keys": self._keys, "notes": self._notes}
        write_text(self.folder / INDEX, json.dumps(index, allow_nan=False))
        named = {name for name, _, _ in self._shards} | {INDEX}
        for path in self.folder.iterdir():
            if path.name not in named:
                path.unlink()


@contextmanager
def packing(folder: Path, size_px: int, rule: str) -> Iterator[Packer]:
    """Packs rows into a folder in place; killed on the way it leaves what was there readable."""
    folder.mkdir(parents=True, exist_ok=True)
    before = PackedImages.open(folder) if (folder / INDEX).is_file() else None
    usable = before is not None and (before.rule, before.size_px) == (rule, size_px)
    row_of = before.intact() if before is not None and usable else {}
    packer = Packer(folder, rule, size_px, before, row_of)
    yield packer
    packer.finish()


def code_sha256(*modules: str) -> str:
    """Of the source of modules of the core: what a rule consists of beside its parameters."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
