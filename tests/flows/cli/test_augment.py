"""`pneumo augment compare` on the phantom, from the split stage's results to the page."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from flows.runs import params_file
from pneumo_core.preparation.recipes import RECIPES

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy whose next training takes a second."""
    project = Path(shutil.copytree(trained, tmp_path / "project", symlinks=True))
    with contextlib.chdir(project):
        params_file.rewrite(None, ["train.weights=none", "train.frozen.epochs=1"])
    shutil.rmtree(project / "ledger")
    return project


def test_ranges_of_a_recipe_are_shown(tmp_path: Path, typed: Run) -> None:
    result = typed("pneumo", "augment", "show", "symmetric", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for line in ("rotation_deg  -10 to 10 (widest -15 to 15)", "crop_area     0.3 to 1 (widest"):
        assert line in result.stdout
    assert "gamma" not in result.stdout
    unknown = typed("pneumo", "augment", "show", "flip", cwd=tmp_path)
    assert unknown.returncode == 1
    assert "No recipe 'flip'; there are brightness, contrast" in unknown.stderr


def test_own_ranges_are_shown(make_project: Callable[[], Path], typed: Run) -> None:
    project = make_project()
    without = typed("pneumo", "augment", "show", "own", cwd=project)
    assert without.returncode == 1
    assert "augment.ranges of the recipe own: expected some of brightness" in without.stderr
    params_file.rewrite(None, ["augment.recipe=own", "augment.ranges={rotation_deg: [-5, 5]}"])
    for arguments in ((), ("own",)):
        result = typed("pneumo", "augment", "show", *arguments, cwd=project)
        assert result.stdout.splitlines()[1:] == ["  rotation_deg  -5 to 5 (widest -15 to 15)"]


def test_dvc_takes_a_range_as_pneumo_does(
    make_project: Callable[[], Path], run: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    project = make_project()
    change = "augment.ranges={rotation_deg: [-5, 5]}"
    result = run("dvc", "exp", "run", "--queue", "--set-param", change, cwd=project)
    assert result.returncode == 0, result.stderr
    stashed = ("git", "show", "refs/exps/celery/stash:params.yaml")
    queued = yaml.safe_load(run(*stashed, cwd=project).stdout)
    assert queued["augment"]["ranges"] == {"rotation_deg": [-5, 5]}


def test_all_recipes_are_compared_and_test_is_never_opened(project: Path, typed: Run) -> None:
    result = typed(
        *("pneumo", "augment", "compare", "--out", "found", "--size-per-class", "20"),
        *("--seeds", "1", "--model", "test_efficientnet"),
        cwd=project,
    )
    assert result.returncode == 0, result.stderr
    assert "Written to found/index.html" in result.stdout
    table = pd.read_csv(project / "found" / "comparison.csv")
    assert sorted(table["recipe"]) == sorted([*RECIPES, "none"])
    found = json.loads((project / "found" / "comparison.json").read_text())
    assert found["setting"]["cell"] == "test_efficientnet-frozen"
    assert found["verdict"]["sentences"][0] in result.stdout
    page = (project / "found" / "index.html").read_text()
    assert page.count("data:image/jpeg") == 2 * len(RECIPES) + 3
    assert not (project / "ledger").exists()
