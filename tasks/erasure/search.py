"""Which files of a place hold films of an erased patient, or were made of them.

- A file is a film by its bytes or its pixels.
- A text or a table *names* the patient if it has an id or a hash of such a film, or the hash of
  a file that does: a model's description has the hash of the table of its films.
- What lies *beside* such a text, or below it, was made with it: a report's pictures, weights,
  arrays. Other films were not.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pneumo_core.errors import ErasureError
from pneumo_core.sources.erased import Erased
from tasks.erasure import contents
from tasks.erasure.contents import Content
from tasks.erasure.places import Place, path_of

Contents = Mapping[str, Content]


@dataclass(frozen=True)
class Found:
    """Names of files."""

    films: frozenset[str] = frozenset()
    naming: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()
    alike: frozenset[str] = frozenset()  # films of others, by their looks

    @property
    def held(self) -> list[str]:
        """Return what must go; what explains the others comes last, for a search after a kill."""
        return [*sorted(self.beside), *sorted(self.naming), *sorted(self.films)]


@dataclass
class Reader:
    """What files say, each read once."""

    digest: Callable[[str], str]
    _known: dict[tuple[str, str], Content] = field(default_factory=dict)

    def content(self, place: Place, name: str, md5: str | None = None) -> Content:
        """Return what a file says; raise ErasureError if nobody can tell whom it names.

        Args:
            md5: stands for the bytes, in whichever store of DVC they lie.
        """
        key = ("", md5) if md5 else (place.address, name)
        if key not in self._known:
            try:
                self._known[key] = contents.read(place.read(name), self.digest)
            except ErasureError as error:
                raise ErasureError(
                    f"{place.address}/{name}: {error}. Restore or delete it."
                ) from error
        return self._known[key]

    def tables(self) -> frozenset[str]:
        """Return the hashes of all tables that were read."""
        tables = (each for each in self._known.values() if each.kind == "table")
        return frozenset(found for each in tables for found in each.hashes)


def in_files(of_name: Contents, erased: Erased, spread: bool = True) -> Found:
    """Search files whose names are paths."""
    found = _by_content(of_name, erased)
    folders = {PurePosixPath(name).parent for name in found.naming} if spread else set()
    beside = {
        name
        for name, each in of_name.items()
        if each.kind != "film" and folders & set(PurePosixPath(name).parents)
    }
    return Found(found.films, found.naming, frozenset(beside - found.naming), found.alike)


def in_objects(place: Place, of_name: Contents, erased: Erased) -> Found:
    """Search objects of DVC, whose names are hashes, and whose folders are listings.

    What a version without the patient lists, too, was not made with it.
    """
    found = _by_content(of_name, erased)
    naming = {object_md5(name) for name in found.naming}
    beside, clean = set[str](), set[str]()
    for listed in _listings(place, of_name):
        (beside if listed & naming else clean).update(listed)
    names = {
        name
        for name, each in of_name.items()
        if each.kind != "film" and object_md5(name) in beside - clean - naming
    }
    return Found(found.films, found.naming, frozenset(names), found.alike)


def _by_content(of_name: Contents, erased: Erased) -> Found:
    films = {name for name, each in of_name.items() if each.is_film_of(erased)}
    naming = {name for name, each in of_name.items() if each.names(erased)}
    alike = {name for name, each in of_name.items() if each.looks_like(erased)}
    return Found(frozenset(films), frozenset(naming - films), frozenset(), frozenset(alike - films))


def _listings(place: Place, of_name: Contents) -> list[set[str]]:
    """Return the hashes that each listing of a folder has."""
    found = []
    for name in of_name:
        if path_of(name).endswith(".dir"):
            try:
                found.append({str(each["md5"]) for each in json.loads(place.read(name))})
            except (ValueError, TypeError, KeyError):
                continue  # no listing of DVC
    return found


def object_md5(name: str) -> str:
    """Return the hash that is the name of an object of DVC."""
    return "".join(PurePosixPath(path_of(name)).parts[-2:])
