"""Files and folders that are there whole or not at all, and the checksum of a file."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

JsonDict = dict[str, Any]  # as JSON has it


@contextmanager
def replacing_file(target: Path) -> Iterator[Path]:
    """Yields a path to write to; at the end without an error it becomes `target`, durably."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(target)
    draft.touch(0o660, exist_ok=False)
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yields an empty folder; at the end without an error it takes the place of `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(target)
    draft.mkdir(0o770)
    try:
        yield draft
        shutil.rmtree(target, ignore_errors=True)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _draft(target: Path) -> Path:
    """Return a new name beside the target. Others than owner and group get no right to either, as
    what is known of patients is among it; the umask may take more."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}")


def write_text(target: Path, text: str) -> None:
    with replacing_file(target) as draft:
        draft.write_text(text, encoding="utf-8")


def write_secret(target: Path, text: str) -> None:
    """Write a file for its owner only, unless it is there: another process may have been first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(target)
    try:
        draft.touch(0o600, exist_ok=False)
        draft.write_text(text, "utf-8")
        target.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


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
