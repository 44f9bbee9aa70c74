"""The stage evaluate: which cells take part."""

import base64
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml

from pneumo_core import params
from pneumo_core.data import manifest
from pneumo_core.errors import EvaluationError
from pneumo_core.models import committee
from pneumo_core.models.bundle import ONNX, Blueprint, OnnxRecord, read_description
from tasks import evaluate, ledger, paths
from tasks.registry import model_versions
from tasks.tracking import connection

FULL, PARTIAL = "test_efficientnet-full", "test_efficientnet-partial"


def test_a_cell_of_an_earlier_grid_takes_no_part(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may have learned from other films: a leaderboard with it would compare the unlike."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")  # no copies of the evaluation
    shutil.copytree(paths.TRAINED / FULL, paths.TRAINED / "resnet18-full")
    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["train"]["strategies"] = ["full"]
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    evaluate.run(params.load().evaluate)
    assert pd.read_csv(paths.LEADERBOARD)["cell"].tolist() == [FULL]
    assert [path.name for path in paths.EVALUATED.iterdir()] == [FULL]
    assert [path.name for path in paths.TRAINED.iterdir()] == [FULL]
    output = capsys.readouterr().out
    for name in ("resnet18-full", PARTIAL):
        assert f"{name} is not asked for any more and left out" in output
    bundle = paths.EVALUATED / FULL / paths.BUNDLE
    record = read_description(bundle).onnx
    assert isinstance(record, OnnxRecord)
    assert (bundle / ONNX).is_file()


def test_a_model_that_cannot_be_exported_says_so_and_is_evaluated(
    project: Path,  # noqa: ARG001 (it is in place)
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    monkeypatch.setattr(evaluate, "export", lambda *_: "it cannot be exported (a reason)")
    evaluate.run(params.load().evaluate)
    assert f"{FULL} has no model.onnx: it cannot be exported (a reason)" in capsys.readouterr().out
    bundle = paths.EVALUATED / FULL / paths.BUNDLE
    assert read_description(bundle).onnx == "it cannot be exported (a reason)"
    assert not (bundle / ONNX).exists()


def test_the_committee_of_the_best_cells_is_a_cell_like_any_other(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["evaluate"]["committee_size"] = 2
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    evaluate.run(params.load().evaluate)
    leaderboard = pd.read_csv(paths.LEADERBOARD).set_index("cell")
    assert set(leaderboard.index) == {FULL, PARTIAL, committee.NAME}
    best = leaderboard.drop(committee.NAME)["choice_auroc"].idxmax()
    description = read_description(paths.EVALUATED / committee.NAME / paths.BUNDLE)
    assert isinstance(description.onnx, OnnxRecord)
    assert {"feature_map", "evidence"} < set(description.onnx.max_difference)
    assert {member.name for member in description.members} == {FULL, PARTIAL}
    assert description.members[0].name == best
    assert f"the committee is {best}" in capsys.readouterr().out
    for split in (*paths.VALIDATIONS, "test"):
        _assert_mean_of_calibrated_log_odds(split)
    tested = [line["cell"] for line in ledger.read(paths.TEST_LEDGER)]
    assert tested[-1] == committee.NAME


def test_a_committee_is_registered_with_its_members_and_read_like_any_model(
    project: Path, promote_cell: Callable[..., str]
) -> None:
    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["evaluate"]["committee_size"] = 2
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    evaluate.run(params.load().evaluate)
    assert promote_cell(committee.NAME) == "1"
    registered = model_versions.versions("pneumo")["1"]
    client = connection.connect()
    assert client.get_run(registered.run_id).data.params["members"] == str(
        [member.name for member in _members()]
    )
    predictions = pd.read_csv(paths.EVALUATED / committee.NAME / "test" / "predictions.csv")
    table = manifest.read(paths.SPLIT).set_index("image_id")
    film = (paths.RAW / table.loc[predictions["image_id"][0], "path"]).read_bytes()
    model = mlflow.pyfunc.load_model("models:/pneumo@champion")
    read = model.predict([{"image": base64.b64encode(film).decode()}])
    assert read["probability"][0] == pytest.approx(predictions["probability"][0], abs=1e-6)


def _members() -> tuple[Blueprint, ...]:
    return read_description(paths.EVALUATED / committee.NAME / paths.BUNDLE).members


def _assert_mean_of_calibrated_log_odds(split: str) -> None:
    def read(cell: str) -> pd.DataFrame:
        return pd.read_csv(paths.EVALUATED / cell / split / "predictions.csv")

    members = [read(cell)["probability"] for cell in (FULL, PARTIAL)]
    expected = np.mean([np.log(p / (1 - p)) for p in members], axis=0)
    np.testing.assert_allclose(read(committee.NAME)["logit"], expected, atol=1e-4)


def test_one_cell_is_no_committee(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    settings = yaml.safe_load((project / "params.yaml").read_text())
    settings["train"]["strategies"] = ["full"]
    settings["evaluate"]["committee_size"] = 2
    (project / "params.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(EvaluationError, match="one model"):
        evaluate.run(params.load().evaluate)
