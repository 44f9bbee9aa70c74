"""Several sources as one, each keeping the name that it is given as its origin.

Names of the public archive mean the same wherever they come from, since it may come twice.
What one table or one hospital calls a patient means nothing in another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.patients import Patient
from pneumo_core.sources.source import Source, SourceFile

RULES_OF_THE_ARCHIVE = {"person_pathogen", "im_series"}

Name = Annotated[str, StringConstraints(pattern=r"^[\w-][\w.-]*$")]


class SeveralDescription(Description):
    kind: Literal["several"]
    sources: dict[Name, str | dict[str, Any]] = Field(min_length=1)

    def source(self, opening: Opening) -> "SeveralSources":
        return SeveralSources({name: opening.source(each) for name, each in self.sources.items()})


@dataclass(frozen=True)
class SeveralSources:
    sources: Mapping[str, Source]

    def files(self) -> list[SourceFile]:
        files = [
            _from(origin, file)
            for origin, source in self.sources.items()
            for file in source.files()
        ]
        return sorted(files, key=lambda file: file.image_id)


def _from(origin: str, file: SourceFile) -> SourceFile:
    patient = file.patient
    if patient is not None and patient.rule not in RULES_OF_THE_ARCHIVE:
        patient = Patient(
            f"{origin}/{patient.key}", f"{origin}/{patient.group}", patient.rule, patient.subtype
        )
    return replace(file, name=f"{origin}/{file.name}", origin=origin, patient=patient)
