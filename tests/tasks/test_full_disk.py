"""A disk that is full at the moment of writing: a small one, laid over the folder of a stage.

It is a tmpfs that only the stage's process sees (`unshare --mount`).
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumo_core import params
from pneumo_core.atomic import file_sha256
from pneumo_core.models import bundle
from pneumo_core.params import Strategy
from pneumo_core.training.context import Cell
from tasks import evaluate, paths
from tasks import train as stage
from tasks.graph import failures

Run = Callable[..., subprocess.CompletedProcess[str]]

CELL = "test_efficientnet-full"
TRAIN = ("pneumo", "stage", "train", "test_efficientnet", "full")
ALONE = ("unshare", "--user", "--map-root-user", "--mount")
ON_A_SMALL_DISK = """
    mount --types tmpfs --options "size=$1" none "$2" || exit 99
    folder="$2"; shift 2
    "$@"; code=$?
    ls --almost-all "$folder" > left
    exit $code
"""


@pytest.fixture
def fails_on(project: Path, run: Run) -> Callable[..., str]:
    """Runs a command with a small disk over a folder; gives what it said as it failed."""

    def fail(folder: Path, size: str, *command: str) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        script = ("sh", "-c", ON_A_SMALL_DISK, "sh", size, str(folder))
        result = run(*ALONE, *script, *command, cwd=project)
        if result.returncode == 99 or "unshare failed" in result.stderr:
            pytest.skip(f"no disk of its own may be mounted here: {result.stderr}")
        assert result.returncode == 1, result.stderr
        assert "No space left on device" in result.stderr
        assert "Traceback" not in result.stderr
        return result.stderr

    return fail


def train() -> None:
    """What the stage does, in this process."""
    stage.run(params.load().train, Cell("test_efficientnet", Strategy.FULL))


def weights() -> str:
    return file_sha256(paths.TRAINED / CELL / paths.WEIGHTS)


def epochs_told() -> list[int]:
    lines = (paths.EVENTS / f"{CELL}.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [event["epoch"] for event in events if event["event"] == "EpochEnded"]


def test_training_that_finds_no_room_ends_later_with_the_same_weights(
    project: Path, fails_on: Callable[..., str]
) -> None:
    """None for its first checkpoint, then none for the weights of a training that is over."""
    train()
    undisturbed = weights()
    shutil.rmtree(paths.TRAINED)
    fails_on(paths.SCRATCH / "checkpoints", "64k", *TRAIN)
    fails_on(paths.TRAINED, "64k", *TRAIN)
    assert (project / "left").read_text() == f"{CELL}.csv\n"  # the learning curve, which is small
    failure = failures.recall(f"train@{CELL}")
    assert failure is not None
    assert not failure.may_pass
    learnt = epochs_told()
    train()
    assert weights() == undisturbed
    assert epochs_told() == learnt  # nothing was learnt again


def test_bundle_that_finds_no_room_leaves_those_before(
    project: Path, fails_on: Callable[..., str]
) -> None:
    """The disk is full in the middle of the first bundle, and in the middle of the second."""
    folders = [path / paths.BUNDLE for path in paths.EVALUATED.iterdir()]
    before = {folder: bundle.identity(folder) for folder in folders}
    size = sum(path.stat().st_size for path in folders[0].iterdir())
    for room in (size // 2, size * 3 // 2):
        fails_on(paths.EVALUATED.parent, str(room), "pneumo", "stage", "evaluate")
        assert (project / "left").read_text() == ""
    for folder in folders:
        bundle.read_description(folder)
    evaluate.run(params.load().evaluate)
    assert {folder: bundle.identity(folder) for folder in folders} == before
