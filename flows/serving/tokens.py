"""Who may use the service: names and the SHA-256 of their tokens, one a line, in a private file.

A token is 256 random bits, so a plain hash of it can neither be guessed nor looked up.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from flows.services import credentials
from pneumo_core.errors import PipelineError

LINE = re.compile(r"([\w.-]+): sha256:([0-9a-f]{64})", re.ASCII)


def create(file: Path, name: str) -> str:
    """Add a name to the file, which is made if it is missing; return the name's new token.

    Raises:
        PipelineError: the name is taken or has other characters; the file cannot be used.
    """
    token = secrets.token_urlsafe(32)
    line = f"{name}: sha256:{_sha256(token)}"
    if not LINE.fullmatch(line):
        raise PipelineError(f"{name!r} is not a name of letters, digits and . _ - only.")
    if file.exists() and name in read(file):
        raise PipelineError(f"{file} has a token of {name}: delete that line to make a new one.")
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as opened:
        opened.write(line + "\n")
    return token


def read(file: Path) -> dict[str, str]:
    """Return the SHA-256 of the token of each name; there is at least one.

    Raises:
        PipelineError: the file is missing, empty, readable by others or has another content.
    """
    how = f"make a token with 'pneumo serve token NAME --token-file {file}'"
    if not file.is_file():
        raise PipelineError(f"There is no file {file}: {how}.")
    credentials.require_private(file)
    found = {}
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        parts = LINE.fullmatch(line)
        if parts is None:
            raise PipelineError(f"Line {number} of {file} is not 'name: sha256:...': {how}.")
        found[parts[1]] = parts[2]
    if not found:
        raise PipelineError(f"{file} has no token: {how}.")
    return found


def caller(file: Path, authorization: str) -> str | None:
    """Return the name of whoever sent this header, or None.

    The file is read each time, so that a token whose line was deleted opens nothing any more.

    Args:
        authorization: `Bearer TOKEN`, or what browsers send: `Basic` with name and token.

    Raises:
        PipelineError: as `read`.
    """
    scheme, _, value = authorization.partition(" ")
    name, token = None, value.strip()
    if scheme.lower() == "basic":
        try:
            name, _, token = base64.b64decode(token, validate=True).decode().partition(":")
        except ValueError:
            return None
    elif scheme.lower() != "bearer":
        return None
    sent, owner = _sha256(token), None
    for known, sha256 in read(file).items():
        if hmac.compare_digest(sha256, sent):
            owner = known
    return owner if name in (None, owner) else None


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
