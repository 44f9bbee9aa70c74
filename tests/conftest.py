"""Real projects for tests: the repository's own files in a folder of their own."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import quiet

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
PARTS = (
    "dvc.yaml",
    "params.yaml",
    "prefect.yaml",
    "sources",
    "profiles",
    "mlflow",
    "flows",
    "tasks",
    "pneumo_core",
)

SLOW = {"make_project", "archive", "team"}  # fixtures that mean whole projects, data or servers

quiet.apply()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def archive() -> Path:
    """The public archive at 224 px, on machines that have it."""
    path = SHARED_DATA / "chest_xray_224.zip"
    if not path.is_file():
        pytest.skip("the public archive is not on this machine")
    return path


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a fresh clone-like project; nothing of the user's is read or written."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("project")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / part, ignore=ignore)
            else:
                shutil.copy(source, folder / part)
        (folder / ".dvc").mkdir()
        shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
        shutil.copy(ROOT / ".gitignore", folder / ".gitignore")
        # One commit for all projects: the report names it.
        day = {f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
            subprocess.run(
                ["git", *identity, *command], cwd=folder, env=os.environ | day, check=True
            )
        return folder

    return make


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """This process's environment with a home of its own for Prefect and no server configured."""
    from tasks.dvc_stage import environment

    home = tmp_path_factory.mktemp("prefect")
    kept = {
        k: v
        for k, v in environment().items()
        if k not in {"PREFECT_API_URL", "MLFLOW_TRACKING_URI"}
    }
    return kept | {"PREFECT_HOME": str(home), "CUDA_VISIBLE_DEVICES": ""} | {"HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def run(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command as a user would, in a project; does not raise."""

    def run(*command: str | os.PathLike[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )

    return run
