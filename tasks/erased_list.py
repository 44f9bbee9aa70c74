"""The project's list of erased patients, and the salt that it cannot be read without."""

import secrets

from pneumo_core.atomic import replacing_file
from pneumo_core.errors import ErasureError
from pneumo_core.sources import erased
from pneumo_core.sources.erased import Erased
from tasks import ledger, paths

SALT_BYTES = 32


def read() -> Erased:
    """Return the list; an empty one in a project that never erased anybody.

    Raises:
        ErasureError: the list or its salt is missing, damaged or lacks a patient of the ledger.
    """
    done = {str(entry["patient"]) for entry in ledger.read(paths.ERASURE_LEDGER)}
    if not done and not paths.ERASED.is_file():
        return Erased(b"")
    found = erased.read(paths.ERASED, _salt)
    if done - {each.patient for each in found.patients}:
        raise ErasureError(
            f"{paths.ERASED} lacks a patient who was erased by {paths.ERASURE_LEDGER}: restore it "
            f"from git (git checkout {paths.ERASED})."
        )
    return found


def read_to_add() -> Erased:
    """Return the list with its salt, which is made for the first patient; raises as `read`."""
    found = read()
    if found.patients:
        return found
    if not paths.SALT.is_file():
        with replacing_file(paths.SALT) as draft:
            draft.chmod(0o600)
            draft.write_text(secrets.token_hex(SALT_BYTES))
    return Erased(_salt())


def _salt() -> bytes:
    try:
        found = paths.SALT.read_text("utf-8").strip()
    except OSError as error:
        raise ErasureError(
            f"{paths.ERASED} cannot be read without the project's salt, {paths.SALT}, and until "
            "then no film is read: copy it from the checkout where the patient was erased, or from "
            "its backup."
        ) from error
    if len(found) < SALT_BYTES:
        raise ErasureError(f"{paths.SALT} is damaged: restore it from a backup.")
    return found.encode()
