"""The interface of every kind of source: files that should be images, each with its place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pneumo_core.sources.facts import DataSet
from pneumo_core.sources.patients import Patient


@dataclass(frozen=True)
class SourceFile:
    split: str
    label: str
    name: str  # below `split/label/`; has a `/` where names alone would collide
    num_bytes: int  # before anything is converted
    read: Callable[[], bytes]  # raises OSError if the file cannot be read
    origin: str  # the source, by name
    patient: Patient | None = None  # by the source's own column or tag
    id_space: str = ""  # an origin whose patients' numbers mean nothing in the others
    data_set: DataSet | None = None  # the public data set that it should be part of
    metadata: Mapping[str, str] = field(default_factory=dict)  # by name: age, sex, view, site, ...
    found: str = ""  # how people find it, where they do not by its place
    is_drawn: bool = False  # by a program: nobody is behind it, and its name need not be hidden

    @property
    def place(self) -> str:
        return f"{self.split}/{self.label}/{self.name}"


class Source(Protocol):
    def files(self) -> list[SourceFile]:
        """Return every file that should be an image, in the order of their places."""
        ...
