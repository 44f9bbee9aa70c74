"""Descriptions of sources: YAML files with `kind:` and the settings of that kind."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams, Section, not_yaml
from pneumo_core.sources.archive import ZipSource
from pneumo_core.sources.folder import FolderSource
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import Source


class Description(Section, ABC):
    @abstractmethod
    def source(self, opening: "Opening") -> Source: ...


D = TypeVar("D", bound=Description)


@dataclass(frozen=True)
class Opening:
    """Settings that opening a source needs, besides its description."""

    limits: IngestParams
    kinds: Mapping[str, type[Description]]
    cache: Path  # for downloads
    salt: Path = Path("var/salt")  # the project's, where a source that hashes has none of its own
    folder: Path = Path()  # what relative paths are relative to
    within: tuple[Path, ...] = ()  # the descriptions that are being opened
    notes: Notes = field(default_factory=Notes)  # of all sources that are opened together

    def path(self, given: str) -> Path:
        return self.folder / Path(given).expanduser()

    def source(self, given: str | dict[str, Any]) -> Source:
        """Return the source at a path, or the described one.

        Raises:
            SourceError: nothing is there, or it is neither a source nor a valid description.
        """
        if isinstance(given, dict):
            return self._described(given, "A description")
        path = self.path(given)
        if path.is_dir():
            return FolderSource(path, self.limits.ignore, self.limits.class_names, self.notes)
        if not path.is_file():
            raise SourceError(f"Nothing at {path}: give a folder, a zip or a .yaml description.")
        if path.suffix.lower() == ".zip":
            return ZipSource(path, self.limits, self.notes)
        if path.suffix.lower() not in {".yaml", ".yml"}:
            raise SourceError(
                f"{path} is neither a folder, a zip nor a .yaml description: unpack another "
                "archive, and for a table write a description (sources/table.yaml)."
            )
        if path.resolve() in self.within:
            raise SourceError(f"{path} names itself as a source: remove that entry.")
        inside = replace(self, folder=path.parent, within=(*self.within, path.resolve()))
        return inside._described(read_yaml(path), str(path))

    def _described(self, content: Any, where: str) -> Source:
        kind = content.get("kind") if isinstance(content, dict) else None
        if not isinstance(kind, str) or kind not in self.kinds:
            raise SourceError(
                f"{where}: kind {kind!r}, expected one of {', '.join(sorted(self.kinds))}."
            )
        return parse(self.kinds[kind], content, where).source(self)


def read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(not_yaml(path, error)) from error


def parse(kind: type[D], content: Any, where: str) -> D:
    """Return the description; raise SourceError if a key is missing, unknown or has a bad value."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}"
            for fault in error.errors()
        ]
        raise SourceError(
            f"{where} is not a valid description of a source: {'; '.join(faults)}."
        ) from error
