"""One file is fetched, and kept only if its bytes are the expected ones."""

import hashlib
from pathlib import Path

import pytest

from pneumo_core.sources.download import fetch
from pneumo_core.sources.facts import RemoteFile


def _remote(path: Path, data: bytes) -> RemoteFile:
    return RemoteFile(path.as_uri(), hashlib.md5(data, usedforsecurity=False).hexdigest())


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    origin, target = tmp_path / "origin", tmp_path / "cache" / "target"
    origin.write_bytes(b"films")
    remote = _remote(origin, b"films")
    assert fetch(remote, target).read_bytes() == b"films"
    origin.unlink()
    assert fetch(remote, target) == target


def test_other_bytes_replace_nothing(tmp_path: Path) -> None:
    origin, target = tmp_path / "origin", tmp_path / "target"
    origin.write_bytes(b"others")
    target.write_bytes(b"earlier")
    with pytest.raises(OSError, match=r"MD5 .*, expected"):
        fetch(_remote(origin, b"films"), target)
    assert target.read_bytes() == b"earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["origin", "target"]
