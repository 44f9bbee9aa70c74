"""Names of files, made safe once, where a source is opened.

A stranger's archive may name a film with escape sequences for a terminal, line breaks for a log or
tags for a page.
"""

import unicodedata
from dataclasses import dataclass, replace

from pneumo_core.errors import SourceError
from pneumo_core.sources.source import Source, SourceFile

OF_MARKUP = frozenset("<>")


@dataclass(frozen=True)
class SafelyNamed:
    """A source whose files have safe names."""

    source: Source

    def files(self) -> list[SourceFile]:
        """
        Raises:
            SourceError: as the source does, or two files have one name once it is safe.
        """
        files = [replace(file, name=safe(file.name)) for file in self.source.files()]
        seen = set[str]()
        for file in files:
            if file.place in seen:
                raise SourceError(f"Two files are called {file.place}: rename one of them.")
            seen.add(file.place)
        return sorted(files, key=lambda file: file.place)


def safe(name: str) -> str:
    """Return the name with control, format and markup characters as `\\xNN` or `\\uNNNN`."""
    return "".join(_escaped(character) for character in name)


def _escaped(character: str) -> str:
    if character not in OF_MARKUP and unicodedata.category(character)[0] != "C":
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
