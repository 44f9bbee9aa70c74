"""A project that moved: its registry answers from where it is, and writes nowhere else."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
BEGIN = """
import mlflow
from tasks.tracking import connection
client = connection.connect()
experiment = connection.experiment_id(client)
"""
REGISTER = f"""{BEGIN}
run = client.create_run(experiment)
client.log_text(run.info.run_id, "a model", "model/model.txt")
client.create_registered_model("pneumo")
client.create_model_version("pneumo", run.info.artifact_uri + "/model", run.info.run_id)
"""
WRITE = f"""{BEGIN}
(run,) = client.search_runs([experiment])
client.log_text(run.info.run_id, "later", "later.txt")
client.log_text(client.create_run(experiment).info.run_id, "new", "new.txt")
"""
READ = f"""{BEGIN}
path = mlflow.artifacts.download_artifacts("models:/pneumo/1")
print(open(path + "/model.txt").read())
"""


def python(code: str, project: Path) -> str:
    """Run code in a project, in a process of its own: MLflow keeps stores in memory."""
    there = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=there | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A project with one registered version, whose model is a text."""
    project = tmp_path / "pro_ject 1"
    project.mkdir()
    python(REGISTER, project)
    return project


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_copy_reads_and_writes_its_own_artifacts(original: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    before = snapshot(original)
    python(WRITE, copy)
    assert snapshot(original) == before
    assert {path.name for path in copy.rglob("*.txt")} == {"model.txt", "later.txt", "new.txt"}
    shutil.rmtree(original)
    assert "a model" in python(READ, copy)


def test_a_project_that_moved_twice_still_gives_its_model(original: Path, tmp_path: Path) -> None:
    for name in ("second", "third'%"):
        original = original.rename(tmp_path / name)
        assert "a model" in python(READ, original)
