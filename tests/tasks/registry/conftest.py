"""Keys that sign."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def key_pair(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a key pair as docs/operations.md does; gives the private key.

    The public half is in `trusted_keys` beside it.
    """

    def make(name: str) -> Path:
        private, public = tmp_path / f"{name}.key", tmp_path / "trusted_keys" / f"{name}.pem"
        public.parent.mkdir(exist_ok=True)
        for command in (
            ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private],
            ["openssl", "ec", "-in", private, "-pubout", "-out", public],
        ):
            subprocess.run(command, check=True, capture_output=True)
        private.chmod(0o600)
        return private

    return make
