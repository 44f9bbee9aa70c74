"""The key that signs here, and the keys that this project trusts."""

import os
from pathlib import Path

from pneumo_core.errors import SignatureError
from pneumo_core.promotion.signatures import PrivateKey, TrustedKeys
from tasks import paths

PRIVATE_KEY = "PNEUMO_SIGNING_KEY"  # path of a private key, outside the project


def private_key() -> PrivateKey | None:
    """Return None where nobody signs.

    Raises:
        SignatureError: the key cannot be used, or this project does not trust it.
    """
    named = os.environ.get(PRIVATE_KEY)
    if not named:
        return None
    key = PrivateKey(Path(named).expanduser())
    if key.fingerprint not in trusted_keys().trusted:
        raise SignatureError(
            f"{PRIVATE_KEY} names a key that this project does not trust, or no longer: its public "
            f"half must be in {paths.TRUSTED_KEYS}. docs/operations.md shows how to make a key."
        )
    return key


def trusted_keys() -> TrustedKeys:
    """Raises SignatureError where a file of `mlflow/trusted_keys` is no public key."""
    return TrustedKeys.read(paths.TRUSTED_KEYS)
