"""Signatures of models, in the format of OpenSSF Model Signing, and of texts by the same keys.

A signed folder:

    bundle/             the model (`models/bundle.py`)
    statement.json      where it comes from
    model.sig           the signature of all files of both, by name and SHA-256

Keys are on elliptic curves (P-256, P-384, P-521), as PEM. The public keys that a team trusts are
the files `NAME.pem` of a folder; those below its `revoked/` are trusted no longer. A key is known
by its fingerprint: the SHA-256 of its public half as PEM, as the format has it.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pneumo_core.errors import NotTrustedError, SignatureError

if TYPE_CHECKING:
    from model_signing import hashing

STATEMENT, SIGNATURE = "statement.json", "model.sig"
REVOKED = "revoked"
CURVES = ("secp256r1", "secp384r1", "secp521r1")


@dataclass(frozen=True)
class TrustedKeys:
    """Public keys by fingerprint."""

    trusted: Mapping[str, Path]
    revoked: Mapping[str, Path]

    @classmethod
    def read(cls, folder: Path) -> "TrustedKeys":
        """Read the keys of a folder; none where there is no folder.

        Raises:
            SignatureError: a file is no public key.
        """
        trusted, revoked = (
            {_fingerprint(_load_public(path)): path for path in sorted(place.glob("*.pem"))}
            for place in (folder, folder / REVOKED)
        )
        both = revoked.keys() & trusted.keys()
        return cls({each: trusted[each] for each in trusted.keys() - both}, revoked)

    def find(self, fingerprint: str) -> Path:
        """Return the key's file.

        Raises:
            NotTrustedError: the key was revoked.
            SignatureError: nobody here knows it.
        """
        if fingerprint in self.revoked:
            name = self.revoked[fingerprint].stem
            raise NotTrustedError(f"signed by the key {name}, which was revoked")
        if fingerprint not in self.trusted:
            raise SignatureError(f"signed by the key {fingerprint[:12]}, which nobody here knows")
        return self.trusted[fingerprint]


@dataclass(frozen=True)
class PrivateKey:
    path: Path

    @property
    def fingerprint(self) -> str:
        """Raises SignatureError where the file holds no such key, or others may read it."""
        return _fingerprint(self._load().public_key())

    def sign(self, text: bytes) -> str:
        """Return the signature in base64; raises as `fingerprint`."""
        return base64.b64encode(self._load().sign(text, ec.ECDSA(SHA256()))).decode()

    def sign_folder(self, folder: Path) -> None:
        """Write `model.sig` beside a bundle and its statement; raises as `fingerprint`."""
        from model_signing import signing

        self._load()
        signer = signing.Config().use_elliptic_key_signer(private_key=self.path)
        signer.set_hashing_config(_files_of(folder)).sign(folder, folder / SIGNATURE)

    def _load(self) -> ec.EllipticCurvePrivateKey:
        try:
            if self.path.stat().st_mode & 0o077:
                raise SignatureError(
                    f"Others than its owner may use the private key {self.path}: chmod 600 it."
                )
            key = load_pem_private_key(self.path.read_bytes(), None)
        except OSError as error:
            raise SignatureError(f"The private key cannot be read: {error}.") from error
        except (ValueError, TypeError):  # TypeError: it has a password
            raise SignatureError(
                f"{self.path} is no private key in PEM without password."
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
            raise SignatureError(f"{self.path} is no key on one of {', '.join(CURVES)}.")
        return key


def verify_folder(folder: Path, keys: TrustedKeys) -> str:
    """Return the name of the key that signed a folder, after a comparison of all its files.

    Raises:
        NotTrustedError: there is no signature, or that key was revoked.
        SignatureError: it does not fit, or nobody knows its key.
    """
    from model_signing import verifying

    signature = folder / SIGNATURE
    try:
        content = json.loads(signature.read_bytes())
        fingerprint = content["verificationMaterial"]["publicKey"]["hint"]
    except FileNotFoundError:
        raise NotTrustedError("not signed") from None
    except (ValueError, KeyError, TypeError):
        raise SignatureError(f"its {SIGNATURE} is no signature of a model by a key") from None
    key = keys.find(str(fingerprint))
    verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    try:
        verifier.set_hashing_config(_files_of(folder)).verify(folder, signature)
    except Exception as error:  # the library's errors share no root
        raise SignatureError(f"altered after {key.stem} signed it") from error
    return key.stem


def verify_text(text: bytes, signature: str, fingerprint: str, keys: TrustedKeys) -> str:
    """Return the name of the key that signed a text.

    Raises:
        NotTrustedError: the signature fits, and that key was revoked.
        SignatureError: it does not fit, or nobody knows its key.
    """
    path = keys.revoked.get(fingerprint) or keys.find(fingerprint)
    try:
        _load_public(path).verify(base64.b64decode(signature), text, ec.ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error):
        raise SignatureError(f"altered after {path.stem} signed it") from None
    return keys.find(fingerprint).stem


def _files_of(folder: Path) -> "hashing.Config":
    """Return what a signature is of: all files but itself, whatever they are called."""
    from model_signing import hashing

    return hashing.Config().set_ignored_paths(paths=[folder / SIGNATURE], ignore_git_paths=False)


def _load_public(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise SignatureError(f"{path} is no public key in PEM on one of {', '.join(CURVES)}.")
    return key


def _fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()
