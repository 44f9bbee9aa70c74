"""A whole project that was copied and then moved: it works there and writes nowhere else."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.fixtures.small_projects import serving_champion

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_every_command_works_where_the_project_is_now(
    trained: Path,
    tmp_path: Path,
    run: Run,
    environment: dict[str, str],
    free_ports: Callable[..., dict[str, int]],
) -> None:
    first = Path(shutil.copytree(trained, tmp_path / "first", symlinks=True))
    before = times(trained)
    project = first.rename(tmp_path / "moved, to here")
    film = next((project / "results/ingest/raw/test/NORMAL").iterdir())
    for command in (
        ("predict", film),
        ("registry", "verify"),
        ("verify",),
        ("evaluate", "--alias", "champion", "--source", "results/ingest/raw", "--out", "there"),
        ("run", "--set", "train.seed=1"),  # learns and registers another version
        ("promote", "--dry-run"),
        ("registry", "verify"),
        ("predict", film),
    ):
        result = run("pneumo", *command, cwd=project)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    with serving_champion(project, environment, free_ports("serve")["serve"]) as address:
        answer = httpx.post(f"{address}/v1/predict", files={"file": film.read_bytes()}, timeout=60)
        assert answer.status_code == 200, answer.text
    assert not first.exists()
    assert times(trained) == before
