"""A phantom: drawn chest films in the layout of the public archive, with the truth about them.

Names follow the archive, so that its patient rules hold. Defects are planted at known places:
`PhantomSource.truth()` lists them, to compare with what the pipeline finds. Every file is a pure
function of the seed and its id.
"""

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
from PIL import Image
from pydantic import NonNegativeInt, model_validator

from pneumo_core.labels import LABELS, SPLITS
from pneumo_core.params import Section
from pneumo_core.sources.description import Description, Opening, parse, read_yaml
from pneumo_core.sources.patients import kermany
from pneumo_core.sources.phantom_film import draw_film
from pneumo_core.sources.source import SourceFile

Duplicate = Literal["exact_duplicates", "resaved_duplicates", "near_duplicates"]
Broken = Literal["truncated_files", "text_files"]

DUPLICATES: tuple[Duplicate, ...] = get_args(Duplicate)
BROKEN_REASONS: dict[Broken, str] = {"truncated_files": "truncated", "text_files": "not an image"}
DEFECTS = (*DUPLICATES, *BROKEN_REASONS)

FILMS_PER_PATIENT = (1, 1, 1, 1, 1, 1, 2, 2, 3, 6)  # each as likely as the next
SHARE_OF_BACTERIA = 0.62
# Each pathogen numbers its persons in steps of its own, so that only some numbers are shared.
PERSON_STEP = {"bacteria": 1, "virus": 3}
FIRST_PERSON_FILM = 1001  # always four digits: a duplicate's id sorts after its original's

JPEG_QUALITY = (85, 96)
NEAR_JPEG_QUALITY, NEAR_SCALE = (65, 80), (0.94, 0.99)


class PhantomSplit(Section):
    """Counts of films; planted files are added to the distinct films of the two classes."""

    NORMAL: NonNegativeInt
    PNEUMONIA: NonNegativeInt
    exact_duplicates: NonNegativeInt = 0  # same bytes
    resaved_duplicates: NonNegativeInt = 0  # same pixels, other bytes: PNG under a JPEG's name
    near_duplicates: NonNegativeInt = 0  # same picture, other pixels: made smaller, re-encoded
    truncated_files: NonNegativeInt = 0
    text_files: NonNegativeInt = 0

    @model_validator(mode="after")
    def _each_planted_beside_a_film_of_its_own(self) -> Self:
        num_planted = sum(getattr(self, defect) for defect in DEFECTS)
        num_films = self.NORMAL + self.PNEUMONIA
        if num_planted > num_films:
            raise ValueError(f"{num_planted} planted files need as many films, not {num_films}")
        return self


class PhantomParams(Description):
    kind: Literal["phantom"]
    seed: int
    train: PhantomSplit
    val: PhantomSplit
    test: PhantomSplit

    def source(self, opening: Opening) -> "PhantomSource":  # noqa: ARG002
        return PhantomSource(self)


@dataclass(frozen=True)
class PhantomTruth:
    """Planted files; a pair is (image id of the original, image id of the duplicate)."""

    exact_duplicates: tuple[tuple[str, str], ...]
    resaved_duplicates: tuple[tuple[str, str], ...]
    near_duplicates: tuple[tuple[str, str], ...]
    broken: dict[str, str]  # image id to a keyword of the reason
    num_files: dict[str, int]  # by "split/label"


@dataclass(frozen=True)
class _Entry:
    split: str
    label: str
    patient: str
    name: str
    defect: Duplicate | Broken | None = None
    original: "_Entry | None" = None

    @property
    def place(self) -> str:
        return f"{self.split}/{self.label}/{self.name}"


@dataclass(frozen=True)
class PhantomSource:
    params: PhantomParams

    @classmethod
    def from_description(cls, path: Path) -> Self:
        """Return the phantom that a description file defines.

        Raises:
            SourceError: not YAML, or a key is missing, unknown or has a bad value.
        """
        return cls(parse(PhantomParams, read_yaml(path), str(path)))

    def files(self) -> list[SourceFile]:
        """Draw every film, about 3 ms each: only then a file's size is known."""
        files = []
        for entry in self._entries():
            data = self._encode(entry)
            read = partial(bytes, data)
            place = entry.split, entry.label, entry.name
            files.append(SourceFile(*place, len(data), read, origin="phantom", is_drawn=True))
        return sorted(files, key=lambda file: file.place)

    def truth(self) -> PhantomTruth:
        entries = self._entries()

        def pairs(defect: Duplicate) -> tuple[tuple[str, str], ...]:
            return tuple(
                (entry.original.place, entry.place)
                for entry in entries
                if entry.defect == defect and entry.original
            )

        return PhantomTruth(
            exact_duplicates=pairs("exact_duplicates"),
            resaved_duplicates=pairs("resaved_duplicates"),
            near_duplicates=pairs("near_duplicates"),
            broken={
                entry.place: reason
                for defect, reason in BROKEN_REASONS.items()
                for entry in entries
                if entry.defect == defect
            },
            num_files=dict(Counter(f"{entry.split}/{entry.label}" for entry in entries)),
        )

    def _entries(self) -> list[_Entry]:
        """Return the distinct films, then the planted files, which change no name of the others."""
        register = _Register()
        films = {
            split: [
                _Entry(split, label, patient, register.next_name(patient))
                for label in LABELS
                for patient in self._patients(split, label, register)
            ]
            for split in SPLITS
        }
        planted = [
            entry for split in SPLITS for entry in self._planted(split, films[split], register)
        ]
        return [film for split in SPLITS for film in films[split]] + planted

    def _patients(self, split: str, label: str, register: "_Register") -> list[str]:
        """Yield the patient of each film of a class."""
        rng = self._rng(f"patients of {split}/{label}")
        num_films: int = self.params.model_dump()[split][label]
        patients: list[str] = []
        while len(patients) < num_films:
            patients += [register.new_patient(label, rng)] * int(rng.choice(FILMS_PER_PATIENT))
        return patients[:num_films]

    def _planted(self, split: str, films: list[_Entry], register: "_Register") -> Iterator[_Entry]:
        num_planted = self.params.model_dump()[split]
        chosen = iter(self._rng(f"planted in {split}").permutation(len(films)))
        for defect in DEFECTS:
            for _ in range(num_planted[defect]):
                film = films[next(chosen)]
                name = register.next_name(film.patient)
                original = film if defect in DUPLICATES else None
                yield _Entry(split, film.label, film.patient, name, defect, original)

    def _encode(self, entry: _Entry) -> bytes:
        if entry.original is not None:
            return self._duplicate(entry, self._encode(entry.original))
        if entry.defect == "text_files":
            return f"Planted: a text under the name of a film, {entry.place}.\n".encode()
        body, film = self._rng(f"body of {entry.patient}"), self._rng(entry.place)
        patient = kermany(entry.place)
        pixels = draw_film(body, film, None if patient is None else patient.subtype)
        jpeg = _save(Image.fromarray(pixels), "JPEG", film.integers(*JPEG_QUALITY).item())
        return jpeg[: len(jpeg) // 2] if entry.defect == "truncated_files" else jpeg

    def _duplicate(self, entry: _Entry, original: bytes) -> bytes:
        if entry.defect == "exact_duplicates":
            return original
        image = Image.open(io.BytesIO(original))
        if entry.defect == "resaved_duplicates":
            return _save(image, "PNG")
        rng = self._rng(entry.place)
        scale = rng.uniform(*NEAR_SCALE)
        smaller = image.resize((round(scale * image.width), round(scale * image.height)))
        return _save(smaller, "JPEG", rng.integers(*NEAR_JPEG_QUALITY).item())

    def _rng(self, purpose: str) -> np.random.Generator:
        digest = hashlib.sha256(f"{self.params.seed}:{purpose}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest))


class _Register:
    """Give each number once, over all splits: no confirmed patient is in two splits."""

    def __init__(self) -> None:
        self._series = count(1)
        self._persons = {name: count(step, step) for name, step in PERSON_STEP.items()}
        self._films: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
        self._person_films = {name: count(FIRST_PERSON_FILM) for name in PERSON_STEP}

    def new_patient(self, label: str, rng: np.random.Generator) -> str:
        if label == "NORMAL":
            return f"{rng.choice(['', 'NORMAL2-'])}IM-{next(self._series):04d}"
        pathogen = "bacteria" if rng.random() < SHARE_OF_BACTERIA else "virus"
        return f"person{next(self._persons[pathogen])}_{pathogen}"

    def next_name(self, patient: str) -> str:
        """Return the name of the next film, numbered by series or by pathogen."""
        pathogen = patient.rpartition("_")[2]
        if pathogen in self._person_films:
            return f"{patient}_{next(self._person_films[pathogen])}.jpeg"
        return f"{patient}-{next(self._films[patient]):04d}.jpeg"


def _save(image: Image.Image, file_format: str, quality: int | None = None) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **({} if quality is None else {"quality": quality}))
    return buffer.getvalue()
