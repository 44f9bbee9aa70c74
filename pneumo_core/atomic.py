"""Files and folders that are there whole or not at all, and the checksum of a file."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

JsonDict = dict[str, Any]  # as JSON has it


@contextmanager
def replacing_file(target: Path) -> Iterator[Path]:
    """Yields a path to write to; at the end without an error it becomes `target`, durably."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.chmod(0o644)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder; at the end without an error it takes the place of `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield draft
        draft.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    with replacing_file(target) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(target: Path, content: Any) -> None:
    """Keys in the order given; no NaN, which is no JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(target, text + "\n")


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> JsonDict:
    """Return the object that a file holds.

    Raises:
        ValueError: it holds no JSON in UTF-8, or something else than an object.
    """
    found = json.loads(path.read_text("utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no JSON object")
    return found
