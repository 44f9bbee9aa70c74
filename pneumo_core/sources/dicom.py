"""DICOM files, of which only the pixels and asked metadata are stored: no name, path or number.

Keyed hashes (HMAC-SHA-256) stand for identities: a film's name is the hash of its SOP instance UID,
a patient's key that of the patient ID. Nobody can guess an ID by trying without the salt. It is the
project's own (`pneumo_core/salt.py`), or one that a hospital keeps for several projects.
A patient ID that anonymisers write (empty, `0`, `ANONYMOUS`, or one value for most films of several
studies) names nobody: the patient is unknown, and films of one study are possibly of one patient.
A film whose header declares text burned into the pixels (`BurnedInAnnotation`) is refused; text
that the header does not declare is not found.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from pneumo_core.errors import SourceError
from pneumo_core.salt import MIN_CHARACTERS, keyed, read_or_make
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.dicom_content import (
    CONTENT_TAGS,
    holds_no_image,
    not_stated,
    why_not_a_frontal_chest_film,
)
from pneumo_core.sources.dicom_labels import Claim, DicomLabels, by_path, by_tag
from pneumo_core.sources.dicom_pixels import looks_like_dicom, read_header, render
from pneumo_core.sources.dicom_tags import Tags, read_tags, tags
from pneumo_core.sources.folder import posix_below, walk
from pneumo_core.sources.layout import IMAGE_SUFFIXES, find_places, is_litter
from pneumo_core.sources.patients import (
    UNKNOWN,
    Patient,
    canonical_id,
    names_nobody,
    number_of_nobody,
    unknown,
)
from pneumo_core.sources.source import SourceFile

PLACEHOLDERS = {"0", "X"}  # patient IDs that name nobody, beside words
NO_FILMS = "{} files of the DICOM source are not films (DICOMDIR, reports, presentation states)"
NOT_STATED = "{{}} DICOM films do not state their {}: they count as frontal chest films"


class DicomDescription(Description):
    kind: Literal["dicom"]
    path: str  # a folder in the layout of layout.py, or below which the labels name files
    labels: DicomLabels | None = None  # a table in place of that layout, or the path of one
    patients: Literal["tag", "unknown"] = "tag"  # what the DICOM patient ID says
    salt_env: str | None = None  # name of an environment variable
    salt_file: str | None = None
    salt: str | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _path_or_settings(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _one_salt(self) -> Self:
        if sum(given is not None for given in (self.salt_env, self.salt_file, self.salt)) > 1:
            raise ValueError("give one of salt_env, salt_file, salt, or none: the project's own")
        return self

    def source(self, opening: Opening) -> "DicomSource":
        root = opening.path(self.path)
        if not root.is_dir():
            raise SourceError(f"Nothing at {root}: expected a folder of DICOM files.")
        wanted = tags(opening.limits.metadata)
        known = self.patients == "tag"
        salt = self._read_salt(opening)
        return DicomSource(root, salt, self.labels, wanted, opening, known)

    def _read_salt(self, opening: Opening) -> bytes:
        if self.salt_env is not None:
            salt, where = os.environ.get(self.salt_env, ""), f"the variable {self.salt_env}"
        elif self.salt_file is not None:
            where = str(opening.path(self.salt_file))
            try:
                salt = opening.path(self.salt_file).read_text("utf-8")
            except OSError as error:
                raise SourceError(f"The salt of the DICOM source is not there: {error}.") from error
        elif self.salt is not None:
            salt, where = self.salt, "salt"
        else:
            return read_or_make(opening.salt)
        if len(salt.strip()) < MIN_CHARACTERS:
            raise SourceError(
                f"The salt of the DICOM source in {where} has {len(salt.strip())} characters, "
                f"expected {MIN_CHARACTERS} or more: it keeps patient IDs from being guessed."
            )
        return salt.strip().encode()


@dataclass(frozen=True)
class Ids:
    """Identifiers of one file; empty where there is none to read."""

    image: str = ""
    patient: str = ""
    study: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_no_image: bool = False
    why_not: str | None = None  # no frontal chest film, by its header
    not_stated: str = ""  # of modality, body part and view


@dataclass(frozen=True)
class DicomSource:
    root: Path
    salt: bytes = field(repr=False)
    labels: DicomLabels | None
    tags: Tags
    opening: Opening
    patients_known: bool = True

    def files(self) -> list[SourceFile]:
        """Return the films; raise SourceError if there are none or the labels are not usable."""
        files: dict[str, SourceFile] = {}
        claims = sorted(self._claims(), key=lambda claim: claim[0].below)
        found = [ids for _, ids in claims if not ids.is_no_image and not ids.why_not]
        nobody = self._nobody(found)
        for number, (claim, ids) in enumerate(claims, 1):
            if ids.is_no_image:
                self.opening.notes.count(NO_FILMS)
                continue
            if ids.why_not:
                self.opening.notes.count(f"left out: {{}} files, {ids.why_not}")
                continue
            if ids.not_stated:
                self.opening.notes.count(NOT_STATED.format(ids.not_stated))
            file = self._file(claim, ids, nobody, number)
            if file.place in files:  # one film twice: dedup compares the pixels
                file = replace(file, name=f"{Path(file.name).stem}-{number}.png")
            files[file.place] = file
        if not files:
            others = "; ".join(self.opening.notes.sentences())
            raise SourceError(
                f"No images in {self.root}: expected DICOM files below NORMAL/ and PNEUMONIA/, or "
                f"`labels:` in the description{f' ({others})' if others else ''}."
            )
        return [files[place] for place in sorted(files)]

    def _claims(self) -> Iterator[tuple[Claim, Ids]]:
        if self.labels is None:
            claims = self._by_folder()
        elif self.labels.match == "path":
            claims = by_path(self.root, self.labels, self.opening)
        else:
            claims = by_tag(self.root, self.labels, self.opening)
        for claim in claims:
            yield claim, _read_ids(claim.path, self.tags)

    def _by_folder(self) -> Iterator[Claim]:
        limits = self.opening.limits
        files = [(posix_below(path, self.root), path) for path in walk(self.root)]
        self.opening.notes.count(NO_FILMS, sum(is_litter(below) for below, _ in files))
        placed, others = find_places(files, limits.class_names, limits.ignore, self.opening.notes)
        stray = sum(_is_film(below, path) for below, path in others)
        if stray:  # the names of their folders may be those of patients
            raise SourceError(
                f"{self.root} has {stray} films in no class, or beside the splits that others are "
                "in: move them to NORMAL/ or PNEUMONIA/, all below {train,val,test}/ or none, name "
                "their class in ingest.labels, or list their folders in ingest.ignore."
            )
        for place, below, path in placed:
            yield Claim(path, str(below), place[0], place[1])

    def _file(self, claim: Claim, ids: Ids, nobody: set[str], number: int) -> SourceFile:
        name = f"{self._hash('image', ids.image or claim.below)}.png"
        size = claim.path.stat().st_size if claim.path.is_file() else 0
        found = f"file {number} of the source, sorted by path"
        read = partial(_read, claim.path, found)
        file = SourceFile(claim.split, claim.label, name, size, read, origin="dicom", found=found)
        patient = self._patient(file.place, claim, ids, nobody)
        data_set = None if self.labels is None else self.labels.facts
        metadata = {**ids.metadata, **claim.metadata}
        return replace(file, patient=patient, metadata=metadata, data_set=data_set)

    def _nobody(self, found: Sequence[Ids]) -> set[str]:
        """Return the patient IDs that name nobody."""
        patients = {ids.patient for ids in found}
        if not self.patients_known:
            return patients
        nobody = {each for each in patients if each in PLACEHOLDERS or names_nobody(each)}
        most = number_of_nobody((ids.patient, ids.study) for ids in found)
        return nobody if most is None else nobody | {most}

    def _patient(self, place: str, claim: Claim, ids: Ids, nobody: set[str]) -> Patient:
        if claim.patient or ids.patient not in nobody:
            hashed = self._hash("patient", claim.patient or ids.patient)
            return Patient(hashed, hashed, "column" if claim.patient else "dicom", claim.subtype)
        if ids.study:
            return Patient(place, self._hash("study", ids.study), UNKNOWN, claim.subtype)
        return unknown(place, claim.subtype)

    def _hash(self, what: str, identity: str) -> str:
        return keyed(self.salt, what, identity)


def _is_film(below: PurePosixPath, path: Path) -> bool:
    if below.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return looks_like_dicom(file.read(132))
    except OSError:
        return False


def _read_ids(path: Path, tags: Tags) -> Ids:
    keywords = ["SOPInstanceUID", "PatientID", "StudyInstanceUID"]
    try:
        more = [keyword for of in tags.values() for keyword in of]
        header = read_header(path, [*keywords, *more, *CONTENT_TAGS, "Rows"], pixels=False)
        with warnings.catch_warnings():  # warnings quote the header
            warnings.simplefilter("ignore")
            image, patient, study = (str(header.get(each) or "").strip() for each in keywords)
            metadata = read_tags(header, tags)
            patient = canonical_id(patient)
            return Ids(
                image,
                patient,
                study,
                metadata,
                holds_no_image(header),
                why_not_a_frontal_chest_film(header),
                not_stated(header),
            )
    except Exception:  # a value is converted as it is asked for, and may be damaged
        return Ids()


def _read(path: Path, found: str) -> bytes:
    """Return the film as a PNG; the manifest gets an error's text, so it names no path."""
    if path.is_symlink():
        reason = "symbolic link, not followed"
    elif not path.exists():
        reason = "no such file"
    else:
        try:
            return render(path)
        except OSError as error:
            reason = str(error)
    raise OSError(f"{reason} ({found})")
