"""Secrets that the services make for themselves."""

from pathlib import Path

import pytest

from flows.services import credentials
from pneumo_core.errors import PipelineError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_secret_is_made_once_for_its_owner_only() -> None:
    first = credentials.password("some")
    assert len(first) >= 32
    assert credentials.password("some") == first
    assert credentials.password("other") != first
    assert (credentials.FOLDER / "some").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in credentials.FOLDER.iterdir()} == {"some", "other"}


def test_a_secret_that_others_can_read_is_refused() -> None:
    credentials.password("some")
    (credentials.FOLDER / "some").chmod(0o644)
    with pytest.raises(PipelineError, match="chmod 600"):
        credentials.password("some")


def test_an_empty_secret_is_refused() -> None:
    credentials.password("some")
    (credentials.FOLDER / "some").write_text("\n")
    with pytest.raises(PipelineError, match="is empty"):
        credentials.password("some")
