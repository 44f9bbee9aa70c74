"""The immutable copy of the source's files, and the first manifest."""

import hashlib
from pathlib import Path

import pandas as pd

from pneumo_core import manifest
from pneumo_core.errors import DataError
from pneumo_core.patients import identify
from pneumo_core.progress import track
from pneumo_core.sources import Source, SourceFile


def collect(source: Source, folder: Path) -> pd.DataFrame:
    """Copies every file to `folder/split/label/name` and returns a manifest row for each.

    A file that cannot be read becomes a quarantined row, not an error.

    Raises:
        DataError: train or test lacks a class.
    """
    files = source.files()
    require_classes(files)
    return manifest.conform(
        pd.DataFrame([_collect_one(file, folder) for file in track(files, "ingest")])
    )


def require_classes(files: list[SourceFile]) -> None:
    """Raises DataError if train or test lacks a class."""
    there = {(file.split, file.label) for file in files}
    missing = [
        f"{split}/{label}"
        for split in ("train", "test")
        for label in manifest.LABELS
        if (split, label) not in there
    ]
    if missing:
        raise DataError(
            f"The source has no files in {', '.join(missing)}: training needs both classes "
            "in train and in test."
        )


def describe(file: SourceFile) -> dict[str, object]:
    """What a file's place and name tell, as a row of the manifest."""
    patient = identify(file.image_id)
    return {
        "image_id": file.image_id,
        "path": file.image_id,
        "source_split": file.split,
        "split": file.split,
        "label": file.label,
        "subtype": patient.subtype if file.label == "PNEUMONIA" else None,
        "patient_key": patient.key,
        "patient_group": patient.group,
        "patient_rule": patient.rule,
        "file_bytes": file.num_bytes,
        "state": manifest.KEPT,
    }


def _collect_one(file: SourceFile, folder: Path) -> dict[str, object]:
    row = describe(file)
    try:
        data = file.read()
    except OSError as error:
        return row | {"state": manifest.QUARANTINED, "reason": f"cannot be read: {error}"}
    target = folder / file.split / file.label / file.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return row | {"sha256": hashlib.sha256(data).hexdigest()}
