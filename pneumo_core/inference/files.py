"""Predictions for films in files; what `pneumo predict` does."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from pneumo_core.errors import ImageError
from pneumo_core.inference.reader import Reader

File = str | Path


def load_model(bundle: File, operating_point: str = "reading_aid") -> Reader:
    """Return the model in the folder of a bundle; raises BundleError as `Reader.load` does."""
    return Reader.load(Path(bundle), operating_point)


def predict(model: Reader, films: Iterable[File]) -> list[dict[str, Any]]:
    """Return one entry a file: `path` with `probability` and `decision`, or with `error`.

    Args:
        films: files, or folders of files.
    """
    return [_predict(model, path) for path in chain.from_iterable(map(_files, films))]


def _files(path: File) -> list[Path]:
    """Return the files of a folder; the path itself of a file, or of a folder without files."""
    path = Path(path)
    found = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else []
    return found or [path]


def _predict(model: Reader, path: Path) -> dict[str, Any]:
    entry = {"path": str(path)}
    if path.is_dir():  # `_files` found none in it
        return entry | {"error": "there are no files in this folder; name the folders below it"}
    try:
        pixels = model.admit(path.read_bytes())
    except (ImageError, OSError) as error:
        return entry | {"error": str(error)}
    (found,) = model.predict(pixels[np.newaxis])
    if found.rejection_reason:
        return entry | {"error": found.rejection_reason}
    return entry | {"probability": found.probability, "decision": found.decision}
