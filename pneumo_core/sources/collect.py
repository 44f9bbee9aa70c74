"""Store the source's files unaltered, and make the first manifest."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from pneumo_core.data import manifest
from pneumo_core.errors import DataError
from pneumo_core.labels import LABELS, UNSPLIT
from pneumo_core.progress import track
from pneumo_core.sources.dicom_pixels import looks_like_dicom
from pneumo_core.sources.patient_rules import named
from pneumo_core.sources.patients import unknown
from pneumo_core.sources.source import Source, SourceFile

NUM_READERS = 8
MAX_FILE_BYTES = 500_000_000
MAX_NAME_BYTES = 255  # of each part of a path, on Linux and its file systems


def collect(source: Source, folder: Path) -> pd.DataFrame:
    """Store every file in `folder/split/label/name` and return a manifest row for each.

    Files of an earlier run stay if their bytes are the same, and are removed if the source no
    longer has them. A file that cannot be read becomes a quarantined row, not an error.

    Raises:
        DataError: train or test lacks a class.
    """
    files = named(source.files())
    require_classes(files)
    with ThreadPoolExecutor(NUM_READERS) as pool:  # they wait most of the time
        rows = pool.map(lambda file: _collect_one(file, folder), files)
        table = manifest.conform(pd.DataFrame(list(track(rows, "ingest", total=len(files)))))
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
    """Return a row of the manifest from a file's split, label and name."""
    patient = file.patient or unknown(file.image_id)
    return {
        "image_id": file.image_id,
        "path": file.image_id,
        "origin": file.origin,
        "source_split": file.split,
        "split": file.split,
        "label": file.label,
        "subtype": patient.subtype if file.label == "PNEUMONIA" else None,
        "patient_key": patient.key,
        "patient_group": patient.group,
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
    data = file.read()
    if looks_like_dicom(data):
        raise OSError("DICOM, whose header names the patient: use a description of kind: dicom")
    return data


def _collect_one(file: SourceFile, folder: Path) -> dict[str, object]:
    row = describe(file)
    try:
        data = read(file)
        _check_name(file.name)
    except OSError as error:
        return row | {"state": manifest.QUARANTINED, "reason": f"cannot be read: {error}"}
    _keep(folder / file.split / file.label / file.name, data)
    return row | {"sha256": hashlib.sha256(data).hexdigest(), "file_bytes": len(data)}


def _keep(target: Path, data: bytes) -> None:
    """Replace an existing file, never write into it: it may be a link to DVC's cache."""
    if target.is_file() and target.stat().st_size == len(data) and target.read_bytes() == data:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_bytes(data)


def _check_name(name: str) -> None:
    longest = max(len(part.encode()) for part in name.split("/"))
    if longest > MAX_NAME_BYTES:
        raise OSError(f"its name has {longest} bytes, a disk takes at most {MAX_NAME_BYTES}")
