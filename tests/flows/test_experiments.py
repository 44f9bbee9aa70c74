"""DVC's own commands on a project that has run: its plots, its metrics, its experiments."""

import csv
import io
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import ledger, paths
from tasks.registry import model_versions

pytestmark = pytest.mark.slow
MOST_COLUMNS = 25  # of `dvc metrics show`
PATIENCE_S = 400

Dvc = Callable[..., str]


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one that has run, all of it committed, in which commands start."""
    project = Path(shutil.copytree(trained, tmp_path / "project", symlinks=True))
    monkeypatch.chdir(project)
    for command in (
        ["config", "user.name", "test"],
        ["config", "user.email", "test@localhost"],
        ["add", "-A"],
        ["commit", "-qm", "Run"],
    ):
        subprocess.run(["git", *command], check=True)
    return project


@pytest.fixture
def dvc(environment: dict[str, str]) -> Dvc:
    def dvc(*command: str) -> str:
        result = subprocess.run(
            ["dvc", *command], env=environment, capture_output=True, text=True, timeout=600
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return dvc


def test_dvcs_own_commands_show_something(project: Path, dvc: Dvc, tmp_path: Path) -> None:
    plots = json.loads(dvc("plots", "show", "--json"))
    assert not plots.get("errors")
    assert {Path(name).stem for name in plots["data"]} >= {
        *("roc", "precision_recall", "reliability", "confusion", "operating_points")
    }
    (cell,) = (project / paths.EVALUATED).iterdir()
    assert f"{paths.TRAINED / cell.name}.csv" in plots["data"]
    for (drawn,) in plots["data"].values():
        assert len(drawn["content"]["data"]["values"]) > 1
    assert (project / dvc("plots", "show").strip().removeprefix(f"file://{project}/")).is_file()
    header = dvc("metrics", "show", "--md").splitlines()[0]
    assert header.count("|") - 1 <= MOST_COLUMNS
    assert "train.seed" in dvc("params", "diff", "HEAD~1", "--all", "--md")

    bundle = str(paths.EVALUATED / cell.name / paths.BUNDLE)
    dvc("get", str(project), bundle, "--out", str(tmp_path / "got"))
    consumer = tmp_path / "consumer"
    subprocess.run(["git", "init", "-q", consumer], check=True)
    dvc("--cd", str(consumer), "init", "-q")
    dvc("--cd", str(consumer), "import", str(project), bundle, "--out", "bundle")
    sums = [folder / "checksums.json" for folder in (tmp_path / "got", consumer / "bundle")]
    assert {file.read_bytes() for file in sums} == {(project / bundle / sums[0].name).read_bytes()}

    dvc("gc", "--workspace", "--all-commits", "--force")
    assert json.loads(dvc("data", "status", "--granular", "--json")) == {}


def _registered() -> tuple[list[str], dict[str, str]]:
    """All versions, and the one of each alias."""
    return sorted(model_versions.versions("pneumo")), model_versions.aliases("pneumo")


@pytest.mark.usefixtures("project")
def test_experiment_counts_its_look_and_promotes_nothing(dvc: Dvc) -> None:
    """In a copy of the project first, then applied to it."""
    looks, decisions = ledger.read(paths.TEST_LEDGER), paths.PROMOTION_LEDGER.read_bytes()
    metrics, versions = paths.METRICS.read_bytes(), _registered()
    dvc("exp", "run", "--temp", "--name", "other", "-S", "evaluate.seed=1")
    assert len(ledger.read(paths.TEST_LEDGER)) == len(looks) + 1
    assert ledger.broken_links(paths.TEST_LEDGER) == []
    assert paths.PROMOTION_LEDGER.read_bytes() == decisions
    assert paths.METRICS.read_bytes() == metrics
    assert _registered() == versions

    rows = csv.DictReader(io.StringIO(dvc("exp", "show", "--csv")))
    (row,) = (row for row in rows if row["Experiment"] == "other")
    assert row["evaluate.seed"] == "1"
    assert float(row["test_auroc"]) > 0

    dvc("exp", "apply", "other")
    decided = json.loads(paths.DECISION.read_text())
    assert all(role["outcome"].startswith("would be ") for role in decided.values())
    assert len(ledger.read(paths.TEST_LEDGER)) == len(looks) + 1
    assert paths.PROMOTION_LEDGER.read_bytes() == decisions
    assert _registered() == versions


@pytest.mark.usefixtures("project")
def test_two_workers_take_experiments_from_the_queue(dvc: Dvc) -> None:
    decisions = paths.PROMOTION_LEDGER.read_bytes()
    for seed in ("1", "2"):
        dvc("exp", "run", "--queue", "--name", f"seed{seed}", "-S", f"report.seed={seed}")
    dvc("queue", "start", "--jobs", "2")
    deadline = time.monotonic() + PATIENCE_S
    while (states := dvc("queue", "status")).count("Success") < 2:
        assert "Failed" not in states, dvc("queue", "logs", "seed1") + dvc("queue", "logs", "seed2")
        assert time.monotonic() < deadline, states
        time.sleep(2)
    found = {row["Experiment"] for row in csv.DictReader(io.StringIO(dvc("exp", "show", "--csv")))}
    assert found >= {"seed1", "seed2"}
    assert paths.PROMOTION_LEDGER.read_bytes() == decisions
