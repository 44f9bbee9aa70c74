"""Several sources as one; a film's origin is the name of its source.

Names of a public set mean the same patient wherever they come from. Equal numbers of two tables or
two hospitals are possibly one patient, unless the description says `patients: separate`.
`site:` makes the name of the source, or one that it gives, the site of its films.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from pneumo_core.errors import SourceError
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.patients import UNKNOWN
from pneumo_core.sources.source import Source, SourceFile

Name = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*$")]


class SeveralDescription(Description):
    kind: Literal["several"]
    sources: dict[Name, str | dict[str, Any]] = Field(min_length=1)
    patients: Literal["linked", "separate"] = "linked"  # equal numbers in two of the sources
    site: Literal["name"] | bool | dict[Name, str] = False  # the source's name, or one for each

    def source(self, opening: Opening) -> "SeveralSources":
        opened = {name: opening.source(each) for name, each in self.sources.items()}
        return SeveralSources(opened, self._sites(), separate=self.patients == "separate")

    def _sites(self) -> Mapping[str, str]:
        """Return the sites by source.

        Raises:
            SourceError: `site` names a source that is not there.
        """
        if not isinstance(self.site, dict):
            return {name: name for name in self.sources} if self.site else {}
        if unknown := sorted(self.site.keys() - self.sources.keys()):
            raise SourceError(f"site: {', '.join(unknown)} is none of the sources.")
        return self.site


@dataclass(frozen=True)
class SeveralSources:
    sources: Mapping[str, Source]
    sites: Mapping[str, str] = field(default_factory=dict)  # of all films of a source
    separate: bool = False

    def files(self) -> list[SourceFile]:
        files = [
            self._from(origin, file)
            for origin, source in self.sources.items()
            for file in source.files()
        ]
        return sorted(files, key=lambda file: file.place)

    def _from(self, origin: str, file: SourceFile) -> SourceFile:
        id_space = origin if self.separate else file.id_space
        patient = file.patient
        if patient is not None:
            own_group = self.separate or patient.rule == UNKNOWN
            group = f"{origin}/{patient.group}" if own_group else patient.group
            patient = replace(patient, key=f"{origin}/{patient.key}", group=group)
        metadata = file.metadata
        if origin in self.sites:
            metadata = {**metadata, "site": self.sites[origin]}
        return replace(
            file,
            name=f"{origin}/{file.name}",
            origin=origin,
            patient=patient,
            id_space=id_space,
            metadata=metadata,
        )
