"""Names of files, made safe once, where a source is opened.

A stranger's archive may name a film with escape sequences for a terminal, line breaks for a log or
tags for a page.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from pneumo_core.errors import SourceError
from pneumo_core.sources.source import SourceFile

OF_MARKUP = frozenset("<>")


def safely_named(files: Iterable[SourceFile]) -> list[SourceFile]:
    """Return the files by place, with safe names; raise SourceError if two then have one name."""
    named: dict[str, SourceFile] = {}
    for file in files:
        file = replace(file, name=safe(file.name))
        if named.setdefault(file.place, file) is not file:
            raise SourceError(f"Two files are called {file.place}: rename one of them.")
    return [named[place] for place in sorted(named)]


def safe(name: str) -> str:
    """Return the name with control, format and markup characters as `\\xNN` or `\\uNNNN`."""
    return "".join(_escaped(character) for character in name)


def _escaped(character: str) -> str:
    if character not in OF_MARKUP and unicodedata.category(character)[0] != "C":
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
