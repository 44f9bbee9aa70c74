"""`dvc repro` and the Prefect flow: one graph, one result, whatever happened on the way."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.runs import params_file

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]


def locked(project: Path) -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    return stages


@pytest.fixture(scope="module")
def by_dvc(make_small_project: Callable[[], Path], run: Run) -> Path:
    project = make_small_project()
    result = run("dvc", "repro", cwd=project)
    assert result.returncode == 0, result.stdout + result.stderr
    return project


@pytest.fixture
def fresh(make_small_project: Callable[[], Path]) -> Path:
    return make_small_project()


@pytest.fixture(scope="module")
def by_flow(trained: Path) -> Path:
    return trained


def test_both_drivers_give_the_same_hashes(by_dvc: Path, by_flow: Path) -> None:
    assert locked(by_dvc) == locked(by_flow)


@pytest.mark.parametrize("driver", ["by_dvc", "by_flow"])
def test_afterwards_neither_driver_finds_anything_to_do(
    driver: str, request: pytest.FixtureRequest, run: Run
) -> None:
    project = request.getfixturevalue(driver)
    assert "up to date" in run("dvc", "status", cwd=project).stdout
    assert "up to date" in run("dvc", "repro", cwd=project).stdout
    assert "Nothing to do" in run("pneumo", "run", cwd=project).stdout


def test_phantom_findings_equal_its_truth(by_dvc: Path) -> None:
    import json

    import pandas as pd

    from pneumo_core.sources.phantom import PhantomSource

    truth = PhantomSource.from_description(by_dvc / "sources" / "phantom.yaml").truth()
    quarantine = pd.read_csv(by_dvc / "results/validate/quarantine.csv")
    found = json.loads((by_dvc / "results/dedup/duplicates.json").read_text())
    names = pd.read_parquet(by_dvc / "results/ingest/names.parquet")
    id_of = names.set_index("file")["image_id"]

    def as_called(pairs: tuple[tuple[str, str], ...]) -> set[frozenset[str]]:
        return {frozenset(id_of[list(pair)]) for pair in pairs}

    planted = as_called(truth.exact_duplicates + truth.resaved_duplicates)
    assert {frozenset(group) for group in found["exact"]} == planted
    assert {frozenset(group) for group in found["near"]} == as_called(truth.near_duplicates)
    assert set(quarantine["image_id"]) == set(id_of[list(truth.broken)])
    reason_of = quarantine.set_index("image_id")["reason"]
    for file, reason in truth.broken.items():
        assert reason in reason_of[id_of[file]]


@pytest.mark.parametrize(
    ("before", "stage", "sign_of_life", "shell"),
    [
        ("fresh", "validate", "results/validate/images", "/bin/sh"),
        (
            "by_dvc",
            "train@tf_efficientnet_lite0-partial",
            "var/checkpoints/*partial.pt",
            "/bin/bash",
        ),
    ],
)
def test_killed_in_the_middle_and_run_again_gives_the_same(
    stage: str,
    sign_of_life: str,
    shell: str,
    before: str,
    by_dvc: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    run: Run,
    environment: dict[str, str],
) -> None:
    project = tmp_path / "project"
    shutil.copytree(request.getfixturevalue(before), project, symlinks=True)
    with contextlib.chdir(project):
        params_file.rewrite(None, ["train.strategies=[frozen, partial]", "train.partial.epochs=2"])
    victim = subprocess.Popen(
        ["dvc", "repro", stage],
        cwd=project,
        env=environment | {"SHELL": shell},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while not list(project.glob(sign_of_life)):
        assert victim.poll() is None, "the stage ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    bodies = _children(victim.pid)
    victim.kill()  # of dvc alone: its stage must not go on writing beside the next run
    victim.wait()
    assert bodies
    assert all(_is_gone(body) for body in bodies)

    result = run("dvc", "repro", stage, cwd=project)

    assert result.returncode == 0, result.stdout + result.stderr
    resumed = locked(project)[stage]["outs"]
    if stage in locked(by_dvc):  # undisturbed
        assert locked(by_dvc)[stage]["outs"] == resumed
        return
    undisturbed = run("dvc", "repro", "--force", "--single-item", stage, cwd=project)
    assert undisturbed.returncode == 0, undisturbed.stdout + undisturbed.stderr
    assert locked(project)[stage]["outs"] == resumed


def test_ctrl_c_ends_a_run_at_once(
    trained: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """To the whole group, as a terminal sends it: the run's own server gets it as well."""
    project = tmp_path / "project"
    shutil.copytree(trained, project, symlinks=True)
    with contextlib.chdir(project):
        params_file.rewrite(None, ["train.frozen.epochs=5000"])
    with (tmp_path / "output").open("w") as output:
        run = subprocess.Popen(
            ["pneumo", "run"], cwd=project, env=environment, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + 240
    while not list(project.glob("var/checkpoints/*frozen.pt")):
        assert run.poll() is None, (tmp_path / "output").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(timeout=30) == 128 + signal.SIGINT
    message = (tmp_path / "output").read_text()
    assert message.splitlines()[-1].startswith("Stopped.")
    assert "Traceback" not in message


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_gone(pid: int) -> bool:
    """A process that nobody waited for stays in the table as a zombie."""
    deadline = time.monotonic() + 5
    stat = Path(f"/proc/{pid}/stat")
    while time.monotonic() < deadline:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False
