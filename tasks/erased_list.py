"""The project's list of erased patients, and the salt that it cannot be read without."""

from pneumo_core import salt
from pneumo_core.errors import ErasureError, SaltError
from pneumo_core.sources import erased
from pneumo_core.sources.erased import Erased
from tasks import ledger, paths


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
    return Erased(salt.read_or_make(paths.SALT))


def _salt() -> bytes:
    try:
        return salt.read(paths.SALT)
    except SaltError as error:
        raise ErasureError(
            f"{paths.ERASED} cannot be read without the project's salt, and until then no film is "
            f"read. {error} Copy it from the checkout where the patient was erased, or from its "
            "backup."
        ) from error
