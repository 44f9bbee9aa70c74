"""Append-only files of JSON lines, each of which carries the hash of the one before.

So a line that was altered, taken out or put in breaks the chain behind it. What is cut off at the
end breaks no chain: the registry knows of those lines (`tasks/registry/rollback.py`).

Whoever can write here could write a whole chain anew. Where PNEUMO_SIGNING_KEY names a private key,
a line also carries the key's fingerprint and a signature of all else in the line.

Whatever reads a ledger raises LedgerError if a line cannot be read.
"""

import errno
import fcntl
import hashlib
import json
import os
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from pneumo_core.errors import LedgerError, NotTrustedError, SignatureError
from pneumo_core.promotion import signatures
from tasks import signing

FIRST = "0" * 64  # what the first line names as the one before it

Entry = dict[str, Any]


def append(path: Path, **entry: Any) -> str:
    """Add one line with the time, whole even with other writers; return its SHA-256."""
    key = signing.private_key()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        content = file.read()
        lines = content.splitlines()
        stamped = {"time": datetime.now(UTC).isoformat(timespec="seconds")} | entry
        stamped["previous"] = _sha256(lines[-1]) if lines else FIRST
        if key is not None:
            stamped["key"] = key.fingerprint
            stamped["signature"] = key.sign(_encode(stamped))
        line = _encode(stamped)
        before = b"" if content[-1:] in (b"", b"\n") else b"\n"  # an editor took it
        text = before + line + b"\n"
        if file.write(text) < len(text):  # the disk filled up on the way
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(file.fileno())
    return _sha256(line)


def signer(entry: Entry) -> str | None:
    """Return the name of the key that signed a line; None for a line without a signature.

    Raises:
        NotTrustedError: the signature fits, and its key was revoked.
        SignatureError: it does not fit, or nobody knows its key.
    """
    if "signature" not in entry:
        return None
    signed = {name: value for name, value in entry.items() if name != "signature"}
    signature, key = str(entry["signature"]), str(entry.get("key"))
    return signatures.verify_text(_encode(signed), signature, key, signing.trusted_keys())


def false_signatures(path: Path) -> list[str]:
    """Return a sentence for each line whose signature does not fit, or is of an unknown key."""
    faults = []
    for number, entry in enumerate(read(path), 1):
        try:
            signer(entry)
        except NotTrustedError:
            pass  # it was trusted then; what holds now is asked where a line is used
        except SignatureError as error:
            faults.append(f"{path}: line {number}: {error}")
    return faults


def read(path: Path) -> list[Entry]:
    """Return all entries, oldest first; none without a file.

    Raises:
        LedgerError: a line is no JSON object.
    """
    entries = []
    for number, line in enumerate(_lines(path), 1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise LedgerError(f"Line {number} of {path} is no JSON: {error}") from error
        if not isinstance(entry, dict):
            raise LedgerError(f"Line {number} of {path} is no JSON object.")
        entries.append(entry)
    return entries


def broken_links(path: Path) -> list[int]:
    """Return the numbers, from 1, of the lines that lack the hash of the line before."""
    before = [FIRST, *map(_sha256, _lines(path))]
    return [
        number
        for number, (entry, expected) in enumerate(zip(read(path), before, strict=False), 1)
        if entry.get("previous") != expected
    ]


def earlier_lines(path: Path) -> list[int]:
    """Return the numbers, from 1, of the lines that are earlier than the line before them."""
    try:
        times = [datetime.fromisoformat(entry["time"]) for entry in read(path)]
        return [number for number, (a, b) in enumerate(pairwise(times), 2) if b < a]
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"A line of {path} has no time that can be read: {error}") from error


def line_hashes(path: Path) -> set[str]:
    """Return the hash that `append` returned for each line."""
    return set(map(_sha256, _lines(path)))


def _encode(entry: Entry) -> bytes:
    return json.dumps(entry, allow_nan=False).encode()


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.is_file() else []


def _sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
