"""`pneumo augment compare` on the phantom, from the split stage's results to the page."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pneumo_core.recipes import RECIPES

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Path], run: Run) -> Path:
    project = make_project()
    params = project / "params.yaml"
    text = params.read_text()
    for old, new in (
        ("image_size_px: 128", "image_size_px: 32"),
        ("weights: auto", "weights: none"),
        ("frozen: {lr: 0.001, epochs: 30}", "frozen: {lr: 0.001, epochs: 1}"),
    ):
        assert old in text
        text = text.replace(old, new)
    params.write_text(text)
    for stage in ("ingest", "validate", "dedup", "split"):
        result = run("pneumo", "stage", stage, cwd=project)
        assert result.returncode == 0, result.stderr
    return project


def test_all_recipes_are_compared_and_test_is_never_opened(project: Path, run: Run) -> None:
    result = run(
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
