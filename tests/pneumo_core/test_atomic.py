"""Files and folders that are there whole, for their owner and group."""

import os
from pathlib import Path

import pytest

from pneumo_core import atomic


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o077, 0o600), (0o002, 0o660)])
def test_others_may_not_read_what_is_written(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        atomic.write_text(tmp_path / "file", "patients")
        with atomic.replacing_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
    assert (tmp_path / "folder").stat().st_mode & 0o777 == mode | (mode & 0o440) >> 2
