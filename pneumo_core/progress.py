"""Progress on long work: a bar in a terminal, a line in a file for the table of a run, or nothing.

The environment variable `PNEUMO_PROGRESS` names the file.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")

FILE = "PNEUMO_PROGRESS"
LINE = "{desc} {n_fmt}/{total_fmt} {unit}, {remaining} left{postfix}"
EVERY_S = 0.5

_tracked = False


def track(
    items: Iterable[T], what: str, total: int | None = None, unit: str = "img"
) -> Iterator[T]:
    """Yield the items. In a file, work that is itself a part of tracked work does not show."""
    global _tracked
    if _tracked and FILE in os.environ:
        yield from items
        return
    _tracked = True
    try:
        yield from bar(items, desc=what, total=total, unit=unit, leave=False)
    finally:
        _tracked = False


def bar(items: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    if path := os.environ.get(FILE):
        options |= {"file": _LastLine(Path(path)), "bar_format": LINE, "mininterval": EVERY_S}
        return tqdm(items, **options)
    return tqdm(items, disable=None, **options)


class _LastLine:
    """A terminal of one line, which is a file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def write(self, text: str) -> None:
        if line := text.strip():
            self._path.write_text(line, "utf-8")

    def flush(self) -> None:
        """Do nothing: every line is written at once."""
