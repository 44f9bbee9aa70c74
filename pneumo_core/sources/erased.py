"""Patients who were erased: a list of keyed hashes, and the films that it leaves out.

The list is committed. It says nothing without the project's salt: patients, films and files are
HMAC-SHA-256 under it, and perceptual hashes, which must stay comparable, are masked by it.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from pneumo_core.atomic import JsonDict, write_json
from pneumo_core.errors import ErasureError
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import SourceFile

LEFT_OUT = "{} films of erased patients are left out"
DIGEST_DIGITS = 32
KEY, SALT = "patient {}", "the salt itself"  # what else is hashed cannot be confused with these


REASON = "a film of an erased patient"


class ErasedFilmError(OSError):
    """The file is a film of a patient who was erased."""

    def __init__(self) -> None:
        super().__init__(REASON)


@dataclass(frozen=True)
class ErasedPatient:
    patient: str  # hash of the key
    # Hashes of what names the patient: ids and bytes of films, pins
    traces: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()  # hashes of the bytes of files that were made of the films
    looks: tuple[str, ...] = ()  # masked perceptual hashes, 64 hex digits each

    def as_json(self) -> JsonDict:
        return {
            "patient": self.patient,
            "looks": list(self.looks),
            "traces": sorted(self.traces),
            "files": sorted(self.files),
        }


@dataclass(frozen=True)
class Erased:
    """The list, with the salt that it was made by."""

    salt: bytes = field(repr=False)
    patients: tuple[ErasedPatient, ...] = ()

    def digest(self, text: str) -> str:
        return self._hmac(text).hex()[:DIGEST_DIGITS]

    def find(self, word: str) -> ErasedPatient | None:
        """Return the patient with this key or with a film of this id, if it is on the list."""
        trace = self.digest(word)
        named = self._by_name.get(self.digest(KEY.format(word)))
        return named or next((each for each in self.patients if trace in each.traces), None)

    def knows(self, text: str) -> bool:
        """Return whether a word is an id or a hash of an erased film."""
        return bool(self.patients) and self.digest(text) in self.traces

    def bars(self, file: SourceFile) -> bool:
        """Return whether the source says that a film is of an erased patient."""
        key = KEY.format(file.patient.key) if file.patient else ""
        return self.digest(key) in self._by_name

    def mask(self, patient: str, number: int, look: str) -> str:
        """Return a perceptual hash masked, or a masked one as it was."""
        pad = self._hmac(f"look {number} of {patient}")
        return bytes(a ^ b for a, b in zip(bytes.fromhex(look), pad, strict=True)).hex()

    def looks(self) -> list[str]:
        """Return the perceptual hashes of all erased films."""
        return [
            self.mask(each.patient, number, look)
            for each in self.patients
            for number, look in enumerate(each.looks)
        ]

    def with_patient(self, key: str, traces: Iterable[str], looks: Iterable[str]) -> "Erased":
        """Return the list with this patient, and with what was known of it before.

        Args:
            traces: in plain words, hashed here.
            looks: perceptual hashes; those that are on the list stay as they are.
        """
        name = self.digest(KEY.format(key))
        if name not in self._by_name:
            masked = tuple(self.mask(name, n, look) for n, look in enumerate(looks))
            self = replace(self, patients=(*self.patients, ErasedPatient(name, looks=masked)))
        return self.grown(name, traces)

    def grown(self, patient: str, traces: Iterable[str], files: Iterable[str] = ()) -> "Erased":
        """Return the list with more traces and files of a patient, in plain words."""
        before = self._by_name[patient]
        now = replace(
            before,
            traces=before.traces.union(map(self.digest, traces)),
            files=before.files.union(map(self.digest, files)),
        )
        return replace(
            self, patients=tuple(now if each is before else each for each in self.patients)
        )

    def only(self, patient: ErasedPatient) -> "Erased":
        """Return the list with one patient of it."""
        return replace(self, patients=(patient,))

    @cached_property
    def traces(self) -> frozenset[str]:
        """Hashes of what names an erased patient."""
        return frozenset[str]().union(*(each.traces for each in self.patients))

    @cached_property
    def files(self) -> frozenset[str]:
        """Hashes of the files that were made of erased films."""
        return frozenset[str]().union(*(each.files for each in self.patients))

    @cached_property
    def _by_name(self) -> dict[str, ErasedPatient]:
        return {each.patient: each for each in self.patients}

    def _hmac(self, text: str) -> bytes:
        return hmac.digest(self.salt, text.encode(), hashlib.sha256)


def read(path: Path, salt: Callable[[], bytes]) -> Erased:
    """Return the list; of one without a patient the salt does not matter.

    Args:
        salt: called only where there is a patient on the list.

    Raises:
        ErasureError: the list is damaged, or was made with another salt.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        patients = tuple(
            ErasedPatient(
                str(each["patient"]),
                frozenset(each["traces"]),
                frozenset(each["files"]),
                tuple(map(str, each["looks"])),
            )
            for each in content["patients"]
        )
        named = content.get("salt")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ErasureError(
            f"{path}, the list of erased patients, is missing or damaged: restore it from git "
            f"(git checkout {path})."
        ) from error
    if not patients:
        return Erased(b"")
    found = Erased(salt(), patients)
    if found.digest(SALT) != named:
        raise ErasureError(
            f"{path} was made with another salt than the one here, so nothing can be read before "
            "the films of erased patients could be left out: bring the project's salt back."
        )
    return found


def write(erased: Erased, path: Path) -> None:
    write_json(
        path,
        {
            "salt": erased.digest(SALT),
            "patients": [each.as_json() for each in erased.patients],
        },
    )


def without_erased(files: list[SourceFile], erased: Erased, notes: Notes) -> list[SourceFile]:
    """Return the files but for the films of erased patients, which the notes count.

    A film that comes under another name is known by its bytes, when it is read: `ErasedFilmError`.
    """
    if not erased.patients:
        return files
    kept = [file for file in files if not erased.bars(file)]
    notes.count(LEFT_OUT, len(files) - len(kept))
    return [replace(file, read=partial(_read, file.read, erased)) for file in kept]


def _read(read: Callable[[], bytes], erased: Erased) -> bytes:
    data = read()
    if erased.knows(hashlib.sha256(data).hexdigest()):
        raise ErasedFilmError
    return data
