"""The blocks of a document. HTML and Markdown show the same blocks.

Texts may hold **strong** words and `names`; everything else is plain text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pneumo_core.charts import Captioned
from pneumo_core.report.words import Words

Tone = Literal["plain", "quiet", "note"]
Level = Literal["good", "caution", "bad", "open"]


@dataclass(frozen=True)
class Paragraph:
    text: str
    tone: Tone = "plain"
    kind: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Subheading:
    text: str
    kind: str = field(default="subheading", init=False)


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]
    kind: str = field(default="bullets", init=False)


@dataclass(frozen=True)
class Fact:
    title: str
    value: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Large figures side by side."""

    facts: tuple[Fact, ...]
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Verdict:
    level: Level
    title: str
    text: str


@dataclass(frozen=True)
class Verdicts:
    """Questions with their answers; `marks` are the words for the levels."""

    verdicts: tuple[Verdict, ...]
    marks: Mapping[Level, str]
    kind: str = field(default="verdicts", init=False)


@dataclass(frozen=True)
class Column:
    title: str
    numeric: bool = False
    explained: str = ""


@dataclass(frozen=True)
class Number:
    """A cell that sorts by its value and not by its text."""

    text: str
    value: float


Cell = str | Number


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    strong_rows: frozenset[int] = frozenset()
    sortable: bool = False
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Charts:
    charts: tuple[Captioned, ...]
    small: bool = False
    kind: str = field(default="charts", init=False)


@dataclass(frozen=True)
class Film:
    """A film beside its saliency map, with probability and threshold, 0..1."""

    film: str  # data URI
    overlay: str  # data URI
    probability: float
    threshold: float
    title: str
    text: str
    name: str
    alternative: str
    overlay_alternative: str


@dataclass(frozen=True)
class Films:
    films: tuple[Film, ...]
    ramp: str  # meaning of the colours of the maps
    kind: str = field(default="films", init=False)


@dataclass(frozen=True)
class Explorer:
    """A threshold that the reader moves; without a script it shows the figures at `start`."""

    data: Mapping[str, Any]  # numbers for the script
    labels: Mapping[str, str]
    start: Mapping[str, str]  # texts at the threshold in use
    kind: str = field(default="explorer", init=False)


@dataclass(frozen=True)
class Definitions:
    pairs: tuple[tuple[str, str], ...]
    kind: str = field(default="definitions", init=False)


Block = (
    Paragraph
    | Subheading
    | Bullets
    | Facts
    | Verdicts
    | Table
    | Charts
    | Films
    | Explorer
    | Definitions
)


@dataclass(frozen=True)
class Section:
    name: str  # the anchor
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    language: str
    title: str
    use: str  # the uses that are excluded
    sections: tuple[Section, ...]  # the first one is the first screen, without a heading


def assemble(
    words: Words, page: str, sections: Mapping[str, Sequence[Block]], **title: object
) -> Document:
    """Return a page whose texts stand under its name in the catalogue; empty sections are left out.

    Args:
        title: what fills the places in the page's title.
    """
    return Document(
        words.language,
        words(f"{page}.title", **title),
        words("page.use"),
        tuple(
            Section(name, words(f"{page}.{name}"), tuple(blocks))
            for name, blocks in sections.items()
            if blocks
        ),
    )
