"""A project that has run, made as small as one with a champion can be."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

LOW = {  # bars for a model of seconds
    "min_ci_low": {"auroc": 0.51, "sensitivity": 0.1, "specificity": 0.05},
    "max_ci_high": {"ece": 0.5, "brier": 0.5},
    "worst_group_min_ci_low": {"sensitivity": 0.01},
    "audited": [],  # of so few copies an audit tells little
}
VALUES = (
    "validate.image_size_px=64",
    "train.strategies=[frozen]",
    "train.frozen.epochs=5",
    "augment.size_per_class=100",
    "evaluate.min_screening_sensitivity=0.8",
    "evaluate.num_draws=200",
    "audit.num_copies=100",
    "audit.num_corrupted_films=20",
    "audit.num_explained_films=20",
    "audit.num_draws=200",
    "report.num_saliency_films=2",
    "report.num_worst_films=1",
)


@pytest.fixture(scope="session")
def trained(
    make_project: Callable[[], Path], run: Callable[..., subprocess.CompletedProcess[str]]
) -> Path:
    """Its only cell bears both roles. Leave results, registry and ledger as they are."""
    project = make_project()
    for path in (project / "mlflow" / "phantom").glob("*.yaml"):
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | LOW))
    sets = [part for value in VALUES for part in ("--set", value)]
    result = run("pneumo", "run", *sets, cwd=project)
    assert result.returncode == 0, result.stdout + result.stderr
    return project
