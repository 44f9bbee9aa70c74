"""The project's salt: a secret in hashes of patients' numbers, which could be guessed without it.

It is made on first use, outside git, and its owner alone may read it. Whoever needs the same hashes
on another machine copies the file, or gives its content in `PNEUMO_SALT`.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from pneumo_core.atomic import write_secret
from pneumo_core.errors import SaltError

VARIABLE = "PNEUMO_SALT"
MIN_CHARACTERS = 16


def read_or_make(path: Path) -> bytes:
    """Return the salt, which is made where there is none; raises as `read`."""
    if not os.environ.get(VARIABLE) and not path.exists():
        write_secret(path, f"{secrets.token_hex(32)}\n")
    return read(path)


def read(path: Path) -> bytes:
    """Return the salt of the environment or of the file.

    Raises:
        SaltError: it is too short to be one, or the file is missing or cannot be read.
    """
    given = os.environ.get(VARIABLE) or None  # empty, as from a workflow without this secret
    try:
        salt = (path.read_text("utf-8") if given is None else given).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SaltError(f"The salt in {path} cannot be read: {error}.") from error
    if len(salt) < MIN_CHARACTERS:
        where = str(path) if given is None else f"the variable {VARIABLE}"
        raise SaltError(
            f"The salt in {where} has {len(salt)} characters, expected {MIN_CHARACTERS} or more: "
            "it keeps patients' numbers from being guessed. Bring back the one that was there."
        )
    return salt.encode()


def keyed(salt: bytes, what: str, identity: str) -> str:
    """Return the keyed hash (HMAC-SHA-256) of what identifies somebody, as 32 digits."""
    return hmac.new(salt, f"{what}:{identity}".encode(), hashlib.sha256).hexdigest()[:32]


def fingerprint(salt: bytes) -> str:
    """Return what tells salts apart, for a file with hashes; it does not tell the salt."""
    return keyed(salt, "fingerprint", "pneumo")
