"""The secret of the hashes of patients."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pneumo_core.errors import SaltError
from pneumo_core.salt import fingerprint, keyed, read_or_make


def test_a_salt_is_made_once_and_its_owner_alone_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "var" / "salt"
    with ThreadPoolExecutor(8) as pool:
        salts = set(pool.map(lambda _: read_or_make(path), range(32)))
    assert len(salts) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["salt"]
    assert read_or_make(tmp_path / "another") not in salts


def test_the_environment_has_the_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMO_SALT", "of the whole team\n")
    assert read_or_make(tmp_path / "salt") == b"of the whole team"
    assert not (tmp_path / "salt").exists()
    monkeypatch.setenv("PNEUMO_SALT", "short")
    with pytest.raises(SaltError, match="in the variable PNEUMO_SALT has 5 characters"):
        read_or_make(tmp_path / "salt")
    monkeypatch.setenv("PNEUMO_SALT", "")  # as from a workflow that has no such secret
    assert read_or_make(tmp_path / "salt") == (tmp_path / "salt").read_bytes().strip()


def test_a_salt_that_was_damaged_is_not_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    path.write_text("short")
    with pytest.raises(SaltError, match="has 5 characters, expected 16 or more"):
        read_or_make(path)
    path.write_bytes(b"\xff" * 32)
    with pytest.raises(SaltError, match="cannot be read"):
        read_or_make(path)
    assert path.read_bytes() == b"\xff" * 32


def test_a_fingerprint_tells_salts_apart_and_hashes_depend_on_them() -> None:
    one, other = b"sixteen characters", b"other characters"
    assert fingerprint(one) != fingerprint(other)
    assert keyed(one, "pin", "12") == keyed(one, "pin", "12")
    assert len({keyed(one, "pin", "12"), keyed(other, "pin", "12"), keyed(one, "study", "12")}) == 3
