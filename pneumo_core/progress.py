"""Progress on long work, on the terminal only: a log file gets no bar."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(
    items: Iterable[T], what: str, total: int | None = None, unit: str = "img"
) -> Iterator[T]:
    yield from tqdm(items, desc=what, total=total, unit=unit, disable=None, leave=False)
