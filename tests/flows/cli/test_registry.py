"""Which version has which alias: decided, shown, looked up, taken back, by typed commands."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.errors import BundleError

Run = Callable[..., subprocess.CompletedProcess[str]]
CELL = "tf_efficientnet_lite0-frozen"
TODAY = datetime.now(UTC)


def ledger(project: Path) -> list[dict[str, Any]]:
    lines = (project / "ledger" / "promotions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_run_ends_with_a_bearer_of_each_role(trained: Path) -> None:
    decided = json.loads((trained / "results/promote/decision.json").read_text())
    assert {role: each["outcome"] for role, each in decided.items()} == {
        "champion": "promoted",
        "screening": "promoted",
    }
    assert {each["in_use"] for each in decided.values()} == {"1"}
    assert {entry["version"] for entry in ledger(trained)} == {"1"}


def test_ledger_says_who_what_from_where_and_why(trained: Path) -> None:
    for entry in ledger(trained):
        assert {"time", "who", "run_id", "data_version", "train_version", "git_commit"} <= set(
            entry
        )
        assert entry["cell"] == CELL
        decided = json.loads((trained / "results/promote/decision.json").read_text())
        assert entry["gates"] == decided[entry["role"]]["gates"]


def test_dry_run_shows_every_gate_and_changes_nothing(trained: Path, typed: Run, run: Run) -> None:
    before = (trained / "ledger" / "promotions.jsonl").read_bytes()
    result = typed("pneumo", "promote", "--dry-run", cwd=trained)
    assert result.returncode == 0, result.stderr
    assert f"champion: {CELL} against version 1 in use" in result.stdout
    assert re.search(r"^sensitivity, lower bound +0\.\d+ +at least 0\.1 +ok$", result.stdout, re.M)
    for gate in ledger(trained)[0]["gates"]:
        assert gate["name"] in result.stdout
    assert result.stdout.count("would be already champion") == 2
    assert (trained / "ledger" / "promotions.jsonl").read_bytes() == before
    assert "up to date" in run("dvc", "status", cwd=trained).stdout


def test_dry_run_without_a_model_says_so(make_project: Callable[[], Path], typed: Run) -> None:
    result = typed("pneumo", "promote", "--dry-run", cwd=make_project())
    assert result.returncode == 1
    assert "no model of the last run was evaluated" in result.stderr


def test_history_and_the_day_a_model_was_in_use(trained: Path, typed: Run) -> None:
    lines = typed("pneumo", "registry", "history", cwd=trained).stdout.splitlines()
    assert re.match(r"time +role +outcome +version +cell +commit +who +why", lines[0])
    assert len(lines) == 3
    only = typed("pneumo", "registry", "history", "--alias", "screening", cwd=trained).stdout
    assert len(only.splitlines()) == 2
    today = typed("pneumo", "registry", "as-of", f"{TODAY:%Y-%m-%d}", cwd=trained).stdout
    assert re.search(r"^champion: version 1, from .* to now, bundle [0-9a-f]{12}$", today, re.M)
    before = TODAY - timedelta(days=1)
    for moment in (f"{before:%Y-%m-%d}", before.isoformat()):
        result = typed("pneumo", "registry", "as-of", moment, "--alias", "champion", cwd=trained)
        assert result.stdout == "champion: no model\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["as-of", "yesterday"], "'yesterday' is not a date like 2026-11-25"),
        (["rollback", "--why", "x"], "There is no champion before version 1"),
        (["rollback", "--why", "x", "--to", "9"], "Version 9 is no former champion"),
    ],
)
def test_wrong_request_is_one_sentence(
    trained: Path, typed: Run, arguments: list[str], message: str
) -> None:
    result = typed("pneumo", "registry", *arguments, cwd=trained)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_verify_agrees_until_the_ledger_is_changed(trained: Path, typed: Run) -> None:
    result = typed("pneumo", "registry", "verify", cwd=trained)
    assert (result.returncode, result.stdout) == (0, "Ledger, registry and bundles agree.\n")
    path = trained / "ledger" / "promotions.jsonl"
    before = path.read_bytes()
    path.write_bytes(before.replace(b'"who": "', b'"who": "not ', 1))
    changed = typed("pneumo", "registry", "verify", cwd=trained)
    path.write_bytes(before)
    assert changed.returncode == 1
    assert "ledger: line 2 does not follow from the one before" in changed.stderr


@pytest.fixture
def unpromoted(trained: Path, tmp_path: Path, empty_store: Path) -> Path:
    """A copy whose models nobody has been asked about."""
    project = tmp_path / "project"
    shutil.copytree(trained, project, symlinks=True, copy_function=shutil.copy)
    shutil.rmtree(project / "ledger")
    shutil.copy(empty_store, project / "var" / "mlflow.db")
    return project


def test_two_promotions_at_once_leave_one_champion_and_a_line_each(
    unpromoted: Path, environment: dict[str, str], run: Run
) -> None:
    command = ["pneumo", "stage", "promote"]
    both = [
        subprocess.Popen(command, cwd=unpromoted, env=environment, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    for role in ("champion", "screening"):
        entries = [entry for entry in ledger(unpromoted) if entry["role"] == role]
        assert [entry["outcome"] for entry in entries] == ["promoted", "already champion"]
        assert [entry["version"] for entry in entries] == ["1", "1"]
    assert run("pneumo", "registry", "verify", cwd=unpromoted).returncode == 0


def alter_certificate(results: Path, **content: Any) -> None:
    path = results / "split" / "certificate.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | content))


def cut_weights(results: Path) -> None:
    path = results / "evaluate" / "cells" / CELL / "bundle" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda results: shutil.rmtree(results / "evaluate/cells" / CELL / "test"), "on test"),
        (lambda results: (results / "split/certificate.json").write_text("{"), "certificate"),
        (lambda results: alter_certificate(results, valid=False), "certificate"),
        (lambda results: alter_certificate(results, data_sha256="0" * 64), "data certified"),
        (cut_weights, "was altered"),
    ],
    ids=["no evaluation", "cut certificate", "failed certificate", "other films", "weights"],
)
def test_model_that_would_be_promoted_is_not_without_its_evidence(
    unpromoted: Path,
    damage: Callable[[Path], object],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`trained` shows that it is promoted where nothing is wrong."""
    monkeypatch.chdir(unpromoted)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    from pneumo_core import params
    from tasks import paths, promote
    from tasks.registry import model_versions

    def decided() -> tuple[str, set[str]]:
        try:
            promote.run(params.load().promote)
        except BundleError as error:
            return str(error), set()
        return capsys.readouterr().out, {"refused"}

    damage(unpromoted / "results")
    (unpromoted / "dvc.lock").unlink()  # which tells of any damage, before the evidence is read
    output, expected = decided()
    assert message in output
    written = ledger(unpromoted) if paths.PROMOTION_LEDGER.exists() else []
    assert {entry["outcome"] for entry in written} == expected
    assert model_versions.aliases("pneumo") == {}


def test_stage_that_meets_an_altered_bundle_says_so_and_promotes_nobody(
    unpromoted: Path, run: Run
) -> None:
    cut_weights(unpromoted / "results")
    result = run("pneumo", "stage", "promote", cwd=unpromoted)
    assert result.returncode == 1
    assert "results/evaluate/cells is not what the stage evaluate wrote" in result.stderr
    assert "Traceback" not in result.stderr
    champion = run("pneumo", "predict", "film.jpeg", cwd=unpromoted)
    assert "No model pneumo@champion in the registry" in champion.stderr


def test_mlflow_holds_the_grid_with_its_evidence(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    from tasks.graph import provenance
    from tasks.registry import model_versions
    from tasks.tracking import connection

    client = connection.connect()
    (experiment,) = client.search_experiments(filter_string="name = 'pneumo'")
    versions = provenance.data_versions()
    found = client.search_runs(
        [experiment.experiment_id], f"tags.data_version = '{versions['data_version']}'"
    )
    (sweep,) = (run for run in found if run.info.run_name == "sweep")
    (cell,) = (run for run in found if run.info.run_name == CELL)
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {"leaderboard.csv", "report"} <= {
        file.path for file in client.list_artifacts(sweep.info.run_id)
    }
    assert "report/index.html" in {
        file.path for file in client.list_artifacts(sweep.info.run_id, "report")
    }
    assert cell.data.tags["mlflow.parentRunId"] == sweep.info.run_id
    files = client.list_artifacts(cell.info.run_id, "evaluation/test")
    assert [file.path for file in files] == ["evaluation/test/metrics.json"]  # names no patient
    assert {"train_loss", "evaluation/val/auroc", "evaluation/test/auroc"} <= set(cell.data.metrics)
    assert {(each.tags[0].value, each.dataset.digest) for each in cell.inputs.dataset_inputs} == {
        ("training", versions["train_version"]),
        ("validation", versions["data_version"]),
        ("test", versions["data_version"]),
    }
    (version,) = model_versions.versions("pneumo").values()
    assert version.run_id == cell.info.run_id
    assert version.tags["data_version"] == versions["data_version"]
    assert model_versions.aliases("pneumo") == {"champion": "1", "screening": "1"}
