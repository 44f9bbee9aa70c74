"""Films of one size in a few files: shards of raw bytes, whose bounds follow from the rows' keys.

The same films give the same files. A film more or less changes the shard that it belongs to and no
other. Rows that exist already are not made again.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pneumo_core.arrays import Gray, Images
from pneumo_core.atomic import file_sha256, replacing_file, write_text
from pneumo_core.errors import DataError

INDEX = "index.json"
MEAN_SHARD_ROWS, MAX_SHARD_ROWS = 128, 512
MAX_MAPS = 16  # shards open at a time: what was read of a mapped file counts as memory in use


@dataclass(frozen=True)
class PackedImages:
    """Films on disk that are indexed like an array [N, size, size] of bytes; rows are mapped."""

    folder: Path
    rule: str  # how the rows were made
    keys: tuple[str, ...]  # of each row, hexadecimal
    notes: tuple[Any, ...]  # what the packer got with each row
    shards: tuple[tuple[str, int, str], ...]  # name, rows, SHA-256 of the file
    size_px: int
    # Shards whose bytes were compared with the index, once, and those that are mapped
    _intact: set[int] = field(default_factory=set, init=False, repr=False, compare=False)
    _maps: dict[int, Images] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path) -> "PackedImages":
        """Return the folder's packed films; raise DataError if it has none."""
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
        """Return one row [size, size], mapped, or several [M, size, size], in memory."""
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

    def _map(self, shard: int) -> Images:
        if shard not in self._maps:
            if len(self._maps) == MAX_MAPS:
                del self._maps[next(iter(self._maps))]  # the one that was opened first
            name, _, sha256 = self.shards[shard]
            if shard not in self._intact:
                _require_intact(self.folder / name, sha256)
                self._intact.add(shard)
            self._maps[shard] = np.load(self.folder / name, mmap_mode="r")
        return self._maps[shard]

    def intact(self) -> "PackedImages":
        """Return only the shards whose bytes are still those that were written."""
        shards: list[tuple[str, int, str]] = []
        rows: list[int] = []
        end = 0
        for shard in self.shards:
            name, num_rows, sha = shard
            start, end = end, end + num_rows
            if (self.folder / name).is_file() and file_sha256(self.folder / name) == sha:
                shards.append(shard)
                rows += range(start, end)
        keys, notes = ([of_row[row] for row in rows] for of_row in (self.keys, self.notes))
        return replace(self, keys=tuple(keys), notes=tuple(notes), shards=tuple(shards))


def _require_intact(path: Path, sha256: str) -> None:
    if file_sha256(path) != sha256:
        raise DataError(
            f"{path} is not what was written: its SHA-256 is not that of {INDEX}. 'pneumo verify' "
            "names every such file, and docs/operations.md says how to repair it."
        )


@dataclass
class Packer:
    """Writer of the rows, in their order; see `packing`."""

    folder: Path
    rule: str
    size_px: int
    _before: PackedImages  # what can be used again
    _row_of: dict[str, int] = field(init=False)
    _sha_of: dict[str, str] = field(init=False)
    _keys: list[str] = field(default_factory=list)
    _notes: list[Any] = field(default_factory=list)
    _shards: list[tuple[str, int, str]] = field(default_factory=list)
    _open: list[Gray | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._row_of = {key: row for row, key in enumerate(self._before.keys)}
        self._sha_of = {name: sha for name, _, sha in self._before.shards}

    def knows(self, key: str) -> bool:
        """Return whether an earlier run left this row, made by the same rule."""
        return key in self._row_of

    def note_of(self, key: str) -> Any:
        """Return the note of a known row."""
        return self._before.notes[self._row_of[key]]

    def add(self, key: str, pixels: Gray | None, note: Any = None) -> None:
        """Add a row [size, size]; None for a row that is known."""
        self._keys.append(key)
        self._notes.append(note)
        self._open.append(pixels)
        if int(key[:8], 16) % MEAN_SHARD_ROWS == 0 or len(self._open) == MAX_SHARD_ROWS:
            self._close_shard()

    def _close_shard(self) -> None:
        if not self._open:
            return
        keys = self._keys[-len(self._open) :]
        name = f"{hashlib.sha256(' '.join([self.rule, *keys]).encode()).hexdigest()[:32]}.npy"
        if name not in self._sha_of:
            rows = [
                self._before[self._row_of[key]] if pixels is None else pixels
                for key, pixels in zip(keys, self._open, strict=True)
            ]
            shard = io.BytesIO()
            np.save(shard, np.stack(rows))
            with replacing_file(self.folder / name) as draft:
                draft.write_bytes(shard.getbuffer())
            self._sha_of[name] = hashlib.sha256(shard.getbuffer()).hexdigest()
        self._shards.append((name, len(keys), self._sha_of[name]))
        self._open.clear()

    def finish(self) -> None:
        self._close_shard()
        index = {"rule": self.rule, "size_px": self.size_px, "shards": self._shards}
        index |= {"keys": self._keys, "notes": self._notes}
        write_text(self.folder / INDEX, json.dumps(index, allow_nan=False))
        named = {name for name, _, _ in self._shards} | {INDEX}
        for path in self.folder.iterdir():
            if path.name not in named:
                path.unlink()


@contextmanager
def packing(folder: Path, size_px: int, rule: str) -> Iterator[Packer]:
    """Pack rows into a folder in place; if it is killed, the earlier rows stay readable."""
    folder.mkdir(parents=True, exist_ok=True)
    before = PackedImages(folder, rule, (), (), (), size_px)
    if (folder / INDEX).is_file():
        found = PackedImages.open(folder)
        if (found.rule, found.size_px) == (rule, size_px):
            before = found.intact()
    packer = Packer(folder, rule, size_px, before)
    yield packer
    packer.finish()
