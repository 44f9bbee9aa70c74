"""`pneumo weights`: fetched once, then trained from where there is no network."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Path]) -> Path:
    return make_project()


@pytest.fixture(scope="module")
def fetched(project: Path, run: Run) -> Path:
    result = run(
        "pneumo", "weights", "fetch", "tf_efficientnet_lite0", "--out", "mirror", cwd=project
    )
    assert result.returncode == 0, result.stderr
    assert "licence: apache-2.0" in result.stdout
    return project / "mirror"


def test_fetched_folder_is_verified(fetched: Path, project: Path, typed: Run) -> None:
    result = typed("pneumo", "weights", "verify", fetched, cwd=project)
    assert result.returncode == 0
    assert "as it was fetched: tf_efficientnet_lite0" in result.stdout


def test_what_is_wrong_is_named(fetched: Path, project: Path, typed: Run) -> None:
    (fetched / "notes.txt").touch()
    result = typed("pneumo", "weights", "verify", fetched, cwd=project)
    (fetched / "notes.txt").unlink()
    assert result.returncode == 1
    assert "extra: notes.txt" in result.stderr
