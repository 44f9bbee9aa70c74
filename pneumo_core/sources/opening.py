"""Opening a source: a folder, a zip archive, or a description (`.yaml`) of another kind.

Each kind is one small class behind `Source`; `KINDS` names the class of each `kind:`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pneumo_core.params import IngestParams
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.dicom import DicomDescription
from pneumo_core.sources.erased import Erased, without_erased
from pneumo_core.sources.huggingface import HuggingFaceDescription
from pneumo_core.sources.kaggle import KaggleDescription
from pneumo_core.sources.medmnist import MedmnistDescription
from pneumo_core.sources.metadata import keep_metadata, require_harmless
from pneumo_core.sources.names import safely_named
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.patient_rules import name_patients
from pneumo_core.sources.phantom import PhantomParams
from pneumo_core.sources.several import SeveralDescription
from pneumo_core.sources.source import Source, SourceFile
from pneumo_core.sources.table import TableDescription

KINDS: Mapping[str, type[Description]] = {
    "dicom": DicomDescription,
    "huggingface": HuggingFaceDescription,
    "kaggle": KaggleDescription,
    "medmnist": MedmnistDescription,
    "phantom": PhantomParams,
    "several": SeveralDescription,
    "table": TableDescription,
}
NOBODY_ERASED = Erased(b"")


@dataclass(frozen=True)
class OpenedSource:
    """A source by the rules of `ingest`, without the films of erased patients."""

    source: Source
    params: IngestParams
    erased: Erased
    notes: Notes  # complete once the files were listed

    def files(self) -> list[SourceFile]:
        """Return the files with safe names, their patients and the metadata that was asked for.

        Raises SourceError as the source, `name_patients` and `safely_named` do.
        """
        asked = self.params.metadata
        files = [keep_metadata(file, asked, self.notes) for file in self.source.files()]
        files = safely_named(name_patients(files, self.params.patients))
        return without_erased(files, self.erased, self.notes)


def open_source(
    params: IngestParams,
    more_kinds: Mapping[str, type[Description]] | None = None,
    cache: Path = Path("var/sources"),
    erased: Erased = NOBODY_ERASED,
    salt: Path = Path("var/salt"),
) -> OpenedSource:
    """Return the source that `ingest.source` names.

    Args:
        more_kinds: kinds that only the caller can open, such as S3, which the core may not import.
        cache: folder for downloads, unless a library has a cache of its own.

    Raises:
        SourceError: nothing is there, it is not a kind of source that pneumo knows, or
            `ingest.metadata` names what can identify a patient.
    """
    require_harmless(params.metadata, "ingest.metadata")
    opening = Opening(params, {**KINDS, **(more_kinds or {})}, cache, salt)
    return OpenedSource(opening.source(params.source), params, erased, opening.notes)
