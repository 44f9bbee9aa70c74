"""Signatures of folders and texts, by real keys, and by the format's own program."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from pneumo_core.errors import NotTrustedError, SignatureError
from pneumo_core.promotion.signatures import PrivateKey, TrustedKeys, verify_folder, verify_text


def write_key(folder: Path, name: str, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    (folder / "trusted").mkdir(exist_ok=True)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "trusted" / f"{name}.pem").write_bytes(public)
    private = folder / f"{name}.key"
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    private.write_bytes(key.private_bytes(*form))
    private.chmod(0o600)
    return private


@pytest.fixture
def anna(tmp_path: Path) -> PrivateKey:
    return PrivateKey(write_key(tmp_path, "anna", ec.generate_private_key(ec.SECP384R1())))


@pytest.fixture
def model(tmp_path: Path, anna: PrivateKey) -> Path:
    (tmp_path / "model" / "bundle").mkdir(parents=True)
    (tmp_path / "model" / "bundle" / "weights").write_bytes(b"weights")
    (tmp_path / "model" / "statement.json").write_text("{}")
    anna.sign_folder(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def keys(tmp_path: Path, anna: PrivateKey) -> TrustedKeys:  # noqa: ARG001 (it is there)
    return TrustedKeys.read(tmp_path / "trusted")


def test_who_signed_is_told(model: Path, keys: TrustedKeys, anna: PrivateKey) -> None:
    assert verify_folder(model, keys) == "anna"
    assert verify_text(b"a line", anna.sign(b"a line"), anna.fingerprint, keys) == "anna"


def test_the_formats_own_program_checks_it(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "model_signing", "verify", "key", model]
    options = ["--signature", model / "model.sig", "--public_key", tmp_path / "trusted/anna.pem"]
    assert subprocess.run([*command, *options]).returncode == 0
    (model / "bundle" / "weights").write_bytes(b"others")
    assert subprocess.run([*command, *options], capture_output=True).returncode != 0


DAMAGES: dict[str, Callable[[Path], object]] = {
    "altered": lambda m: (m / "bundle" / "weights").write_bytes(b"Weights"),
    "another file": lambda m: (m / ".gitattributes").write_text(""),
    "a file less": lambda m: (m / "statement.json").unlink(),
    "renamed": lambda m: (m / "bundle" / "weights").rename(m / "weights"),
    "a link": lambda m: (
        (m / "statement.json").unlink(),
        (m / "statement.json").symlink_to("model.sig"),
    ),
    "no signature of this kind": lambda m: (m / "model.sig").write_text('{"a": 1}'),
    "no JSON": lambda m: (m / "model.sig").write_bytes(b"\xff"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_altered_does_not_pass(damage: str, model: Path, keys: TrustedKeys) -> None:
    DAMAGES[damage](model)
    with pytest.raises(SignatureError):
        verify_folder(model, keys)


def test_a_folder_without_signature_is_not_trusted(model: Path, keys: TrustedKeys) -> None:
    (model / "model.sig").unlink()
    with pytest.raises(NotTrustedError, match=r"^not signed$"):
        verify_folder(model, keys)


def test_a_key_that_nobody_knows_or_that_was_revoked(
    model: Path, tmp_path: Path, anna: PrivateKey
) -> None:
    text, signature = b"a line", anna.sign(b"a line")
    nobodys = TrustedKeys({}, {})
    for check in (
        lambda: verify_folder(model, nobodys),
        lambda: verify_text(text, signature, anna.fingerprint, nobodys),
    ):
        with pytest.raises(SignatureError, match=r"signed by the key [0-9a-f]{12}, which nobody"):
            check()
    (tmp_path / "trusted" / "revoked").mkdir()
    public = tmp_path / "trusted" / "anna.pem"
    (tmp_path / "trusted" / "revoked" / "anna.pem").write_bytes(public.read_bytes())
    revoked = TrustedKeys.read(tmp_path / "trusted")  # it still lies among the trusted, too
    for check in (
        lambda: verify_folder(model, revoked),
        lambda: verify_text(text, signature, anna.fingerprint, revoked),
    ):
        with pytest.raises(NotTrustedError, match="the key anna, which was revoked"):
            check()
    with pytest.raises(SignatureError, match="altered after anna"):
        verify_text(b"another line", signature, anna.fingerprint, revoked)


def test_keys_that_cannot_be_used_are_named(tmp_path: Path, anna: PrivateKey, model: Path) -> None:
    anna.path.chmod(0o640)
    for sign in (lambda: anna.sign(b""), lambda: anna.sign_folder(model)):
        with pytest.raises(SignatureError, match="chmod 600"):
            sign()
    anna.path.chmod(0o600)
    other = write_key(tmp_path, "rsa", rsa.generate_private_key(65537, 2048))
    with pytest.raises(SignatureError, match="is no key on one of secp256r1"):
        PrivateKey(other).sign(b"")
    with pytest.raises(SignatureError, match=r"rsa\.pem is no public key in PEM on one of"):
        TrustedKeys.read(tmp_path / "trusted")
    write_text(tmp_path / "trusted" / "rsa.pem")
    with pytest.raises(SignatureError, match=r"rsa\.pem is no public key in PEM on one of"):
        TrustedKeys.read(tmp_path / "trusted")
    with pytest.raises(SignatureError, match="is no private key in PEM"):
        PrivateKey(write_text(tmp_path / "text")).sign(b"")
    with pytest.raises(SignatureError, match="cannot be read"):
        PrivateKey(tmp_path / "none").sign(b"")


def write_text(path: Path) -> Path:
    path.write_text("no key")
    path.chmod(0o600)
    return path
