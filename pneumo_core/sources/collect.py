"""Store the source's files unaltered, and make the first manifest."""

import hashlib
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pandas as pd

from pneumo_core.data import manifest
from pneumo_core.errors import DataError
from pneumo_core.labels import LABELS, UNSPLIT
from pneumo_core.progress import track
from pneumo_core.sources import identity
from pneumo_core.sources.dicom_pixels import looks_like_dicom
from pneumo_core.sources.erased import ErasedFilmError
from pneumo_core.sources.layout import IMAGE_SUFFIXES
from pneumo_core.sources.patient_rules import named
from pneumo_core.sources.patients import UNKNOWN, unknown
from pneumo_core.sources.source import SourceFile

NUM_READERS = 8
MAX_FILE_BYTES = 500_000_000


def collect(listed: Sequence[SourceFile], folder: Path) -> pd.DataFrame:
    """Store every file as `folder/split/label/SHA-256` and return a row for each, with its names.

    Files of an earlier run stay if their bytes are the same, and are removed if the source no
    longer has them. A file that cannot be read becomes a quarantined row, not an error; a film of
    an erased patient has no row. The rows are a manifest's, with `identity.NAMES`.

    Raises:
        DataError: train or test lacks a class, or no film is left without erased patients.
    """
    files = named(listed)
    require_classes(files)
    with ThreadPoolExecutor(NUM_READERS) as pool:  # they wait most of the time
        found = pool.map(lambda file: _collect_one(file, folder), files)
        rows = [row for row in track(found, "ingest", total=len(files)) if row is not None]
    if not rows:
        raise DataError("Every film of the source is one of an erased patient: none is left.")
    table = identity.called_by_content(pd.DataFrame(rows))
    copied = table[table["state"] == manifest.KEPT]
    _remove_others(folder, {folder / path for path in copied["path"]})
    return table


def _remove_others(folder: Path, named: set[Path]) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path not in named:
            path.unlink()


def require_classes(files: list[SourceFile]) -> None:
    """Check that training can have both classes, in train and in test.

    Raises:
        DataError: a class is missing, or an origin has some films in splits and some in none.
    """
    for origin in sorted({file.origin for file in files}):
        _require_all_or_no_splits(origin, [file for file in files if file.origin == origin])
    there = {(file.split, file.label) for file in files}
    splits = {split for split, _ in there}
    if UNSPLIT in splits or "test" not in splits:  # test is made of these
        lacking = [label for label in LABELS if not there & {("train", label), (UNSPLIT, label)}]
        if lacking:
            raise DataError(
                f"The source has no {' and no '.join(lacking)} films to train with and to make a "
                "test split of: it needs both classes."
            )
        return
    missing = [
        f"{split}/{label}"
        for split in ("train", "test")
        for label in LABELS
        if (split, label) not in there
    ]
    if missing:
        raise DataError(
            f"The source has no files in {', '.join(missing)}: training needs both classes "
            "in train and in test."
        )


def require_both_classes(name: str, files: list[SourceFile]) -> None:
    """Check that an external set can give figures.

    Raises:
        DataError: a class has no films.
    """
    if lacking := sorted(set(LABELS) - {file.label for file in files}):
        raise DataError(
            f"The external set {name} has no {' and no '.join(lacking)} films: figures need both "
            "classes."
        )


def _require_all_or_no_splits(origin: str, files: list[SourceFile]) -> None:
    num_without = sum(file.split == UNSPLIT for file in files)
    if 0 < num_without < len(files):
        raise DataError(
            f"{num_without} of {len(files)} films of {origin} have no split, the others have one: "
            "give all of them a split, or none, and pneumo makes the splits."
        )


def describe(file: SourceFile) -> dict[str, object]:
    """Return what is known of a file before it is read: columns of a manifest and `identity.NAMES`.

    `path` is its place in the source.
    """
    patient = file.patient or unknown(file.place)
    is_known = patient.rule != UNKNOWN
    return {
        "file": file.found or file.place,
        "patient": patient.key if is_known else None,
        "group": patient.group if is_known or patient.group != patient.key else None,
        "path": file.place,
        "origin": file.origin,
        "source_split": file.split,
        "split": file.split,
        "label": file.label,
        "subtype": patient.subtype if file.label == "PNEUMONIA" else None,
        "patient_rule": patient.rule,
        "file_bytes": file.num_bytes,
        "state": manifest.KEPT,
        **{f"{manifest.METADATA}{name}": value for name, value in file.metadata.items()},
    }


def read(file: SourceFile) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: the file cannot be read, is larger than any film, or is DICOM, whose header names
            the patient and must not be stored.
    """
    if file.num_bytes > MAX_FILE_BYTES:
        raise OSError(f"{file.num_bytes / 1e6:.0f} MB, more than a film can have")
    try:
        data = file.read()
    except ErasedFilmError:
        raise
    except OSError as error:  # which may name the file
        raise OSError(error.strerror or str(error)) from error
    if looks_like_dicom(data):
        raise OSError(
            "DICOM, whose header names the patient: use a description of kind: dicom "
            "(sources/dicom.yaml)"
        )
    return data


def _collect_one(file: SourceFile, folder: Path) -> dict[str, object] | None:
    row = describe(file)
    try:
        data = read(file)
    except ErasedFilmError:
        return None
    except OSError as error:
        fault = {"state": manifest.QUARANTINED, "reason": f"cannot be read: {error}"}
        return row | fault | {"sha256": None, "path": ""}
    sha256 = hashlib.sha256(data).hexdigest()
    suffix = PurePosixPath(file.name).suffix.lower()
    hidden = sha256 + (suffix if suffix in IMAGE_SUFFIXES else "")
    path = f"{file.split}/{file.label}/{file.name if file.is_drawn else hidden}"
    _keep(folder / path, data)
    return row | {"sha256": sha256, "path": path, "file_bytes": len(data)}


def _keep(target: Path, data: bytes) -> None:
    """Replace an existing file, never write into it: it may be a link to DVC's cache."""
    if target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{secrets.token_hex(8)}")  # two readers may hold equal files
    draft.write_bytes(data)
    draft.replace(target)
