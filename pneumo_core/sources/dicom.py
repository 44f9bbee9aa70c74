"""DICOM files, of which only pixels go on: no header, no name, no path, no number of a patient.

What has to stay apart is told by keyed hashes (HMAC-SHA-256): a film's name is one of its SOP
instance UID, a patient's key one of the patient ID. Without the salt nobody can try out numbers,
so keep it beside the hospital's data and out of this project.
Text burned into the pixels is refused where the header admits it (`BurnedInAnnotation`); where it
does not, nothing here finds it.
"""

import hashlib
import hmac
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from pneumo_core.errors import SourceError
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.dicom_pixels import DAMAGE, render
from pneumo_core.sources.folder import posix_below, walk
from pneumo_core.sources.layout import parse_place
from pneumo_core.sources.patients import Patient, identify
from pneumo_core.sources.source import SourceFile
from pneumo_core.sources.table import read_rows

MIN_SALT_CHARACTERS = 16


class DicomDescription(Description):
    kind: Literal["dicom"]
    path: str  # a folder: [anything/]{train,val,test}/{NORMAL,PNEUMONIA}/[anything/]file
    labels: str | None = None  # a CSV of labels as of `kind: table`, in place of that layout
    salt_env: str | None = None  # name of an environment variable
    salt_file: str | None = None
    salt: str | None = None

    @model_validator(mode="after")
    def _one_salt(self) -> Self:
        if sum(given is not None for given in (self.salt_env, self.salt_file, self.salt)) != 1:
            raise ValueError("give one of salt_env, salt_file, salt: a secret for the hashes")
        return self

    def source(self, opening: Opening) -> "DicomSource":
        root = opening.path(self.path)
        if not root.is_dir():
            raise SourceError(f"Nothing at {root}: expected a folder of DICOM files.")
        labels = None if self.labels is None else opening.path(self.labels)
        return DicomSource(root, self._read_salt(opening).encode(), labels)

    def _read_salt(self, opening: Opening) -> str:
        if self.salt_env is not None:
            salt, where = os.environ.get(self.salt_env, ""), f"the variable {self.salt_env}"
        elif self.salt_file is not None:
            where = str(opening.path(self.salt_file))
            try:
                salt = opening.path(self.salt_file).read_text("utf-8")
            except OSError as error:
                raise SourceError(f"The salt of the DICOM source is not there: {error}.") from error
        else:
            salt, where = self.salt or "", "salt"
        if len(salt.strip()) < MIN_SALT_CHARACTERS:
            raise SourceError(
                f"The salt of the DICOM source in {where} has {len(salt.strip())} characters, "
                f"expected {MIN_SALT_CHARACTERS} or more: it keeps patient IDs from being guessed."
            )
        return salt.strip()


@dataclass(frozen=True)
class Claim:
    path: Path
    below: str  # its path below the source's root
    split: str
    label: str
    patient: str | None = None
    subtype: str | None = None


@dataclass(frozen=True)
class DicomSource:
    root: Path
    salt: bytes = field(repr=False)
    labels: Path | None = None

    def files(self) -> list[SourceFile]:
        """Raises SourceError if there are none, or the table of labels cannot be used."""
        files: dict[str, SourceFile] = {}
        claims = list(self._by_folder() if self.labels is None else self._by_table(self.labels))
        for number, claim in enumerate(sorted(claims, key=lambda claim: claim.below), 1):
            file = self._file(claim, number)
            if file.image_id in files:  # one film twice: the pixels tell
                file = replace(file, name=f"{Path(file.name).stem}-{number}.png")
            files[file.image_id] = file
        if not files:
            raise SourceError(
                f"No images in {self.root}: expected DICOM files below "
                "{train,val,test}/{NORMAL,PNEUMONIA}/, or `labels:` in the description."
            )
        return [files[image_id] for image_id in sorted(files)]

    def _by_folder(self) -> Iterator[Claim]:
        for path in walk(self.root):
            below = posix_below(path, self.root)
            for end in range(2, len(below.parts)):
                place = parse_place(below.parents[len(below.parts) - 1 - end] / below.name)
                if place is not None:
                    yield Claim(path, str(below), place[0], place[1])
                    break

    def _by_table(self, table: Path) -> Iterator[Claim]:
        for row in read_rows(table):
            path = self.root / row.path
            yield Claim(path, str(row.path), row.split, row.label, row.patient, row.subtype)

    def _file(self, claim: Claim, number: int) -> SourceFile:
        uid, patient_id = _read_ids(claim.path)
        name = f"{self._hash('image', uid or claim.below)}.png"
        size = claim.path.stat().st_size if claim.path.is_file() else 0
        read = partial(_read, claim.path, number)
        file = SourceFile(claim.split, claim.label, name, size, read, origin="dicom")
        patient = identify(file.image_id)
        if key := claim.patient or patient_id:
            hashed = self._hash("patient", key)
            patient = Patient(hashed, hashed, "dicom")
        return replace(file, patient=replace(patient, subtype=claim.subtype))

    def _hash(self, what: str, identity: str) -> str:
        return hmac.new(self.salt, f"{what}:{identity}".encode(), hashlib.sha256).hexdigest()[:32]


def _read_ids(path: Path) -> tuple[str | None, str | None]:
    """SOP instance UID and patient ID; None where there is none to read."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():  # they quote what they warn of
            warnings.simplefilter("ignore")
            header = dcmread(
                path, stop_before_pixels=True, specific_tags=["SOPInstanceUID", "PatientID"]
            )
            ids = (str(header.get(each) or "").strip() for each in ("SOPInstanceUID", "PatientID"))
            uid, patient_id = ids
    except (InvalidDicomError, *DAMAGE):
        return None, None
    return uid or None, patient_id or None


def _read(path: Path, number: int) -> bytes:
    """What stands in an error is written into the manifest: never the path, only its number."""
    if path.is_symlink():
        reason = "symbolic link, not followed"
    elif not path.exists():
        reason = "no such file"
    else:
        try:
            return render(path)
        except OSError as error:
            reason = str(error)
    raise OSError(f"{reason} (file {number} of the source, sorted by path)")


def looks_like_dicom(data: bytes) -> bool:
    """By the marker, or by an element of group 2 or 8 where the preamble is missing."""
    return data[128:132] == b"DICM" or data[:2] in {b"\x02\x00", b"\x08\x00"}
