"""`pneumo benchmark`, as a user types it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Path]) -> Path:
    return make_project()


def test_benchmark_needs_no_data_and_no_stage(project: Path, typed: Run) -> None:
    result = typed(
        *("pneumo", "benchmark", "--out", "found", "--models", "test_efficientnet"),
        *("--strategies", "frozen", "--image-size", "32", "--batch", "2", "--seconds", "0.1"),
        cwd=project,
    )
    assert result.returncode == 0, result.stderr
    (row,) = json.loads((project / "found" / "benchmark.json").read_text())
    assert (row["model"], row["strategy"], row["batch"]) == ("test_efficientnet", "frozen", 2)
    assert "| test_efficientnet | frozen | 30 |" in result.stdout
    assert (project / "found" / "benchmark.svg").read_text().startswith("<svg")
    assert not (project / "results").exists()


def test_a_wrong_request_is_one_sentence(project: Path, typed: Run) -> None:
    result = typed("pneumo", "benchmark", "--out", "wrong", "--strategies", "thawed", cwd=project)
    assert result.returncode == 1
    assert "train.strategies.0 = 'thawed'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project / "wrong").exists()
