"""`pneumo report`: pages on any bundle and any labelled films, where no pipeline ever ran."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from pneumo_core.errors import BundleError, EvaluationError
from pneumo_core.sources.phantom import PhantomParams, PhantomSource, PhantomSplit

pytestmark = pytest.mark.slow


@pytest.fixture
def model(small_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle, tmp_path / "model"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    few = PhantomSplit(NORMAL=1, PNEUMONIA=1)
    test = PhantomSplit(NORMAL=8, PNEUMONIA=8)
    params = PhantomParams(kind="phantom", seed=1, train=few, val=few, test=test)
    for file in PhantomSource(params).files():
        path = folder / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())
    return folder


def _report(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_pages_on_a_model_and_films_from_anywhere(
    model: Path, films: Path, tmp_path: Path, project_params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project_params.parent)
    output = _report("--bundle", model, "--source", films, "--out", tmp_path / "out")
    assert "16 films of test" in output
    page = (tmp_path / "out/index.html").read_text("utf-8")
    korean = (tmp_path / "out/index.ko.html").read_text("utf-8")
    assert (
        "<strong>test_efficientnet-full</strong> was measured on 16 films (8 with pneumonia)"
        in page
    )
    assert "영상 16장(폐렴 8장)" in korean
    for file in ("metrics.json", "predictions.csv", "films.csv", "report.md", "model_card.ko.md"):
        assert (tmp_path / "out" / file).is_file(), file
    found = json.loads((tmp_path / "out/report.json").read_text("utf-8"))
    levels = {each["name"]: each["level"] for each in found["trust"]}
    assert {levels[name] for name in ("leaks", "shortcuts", "shift")} == {"open"}
    refused = json.loads((tmp_path / "out/metrics.json").read_text())["refused"]
    assert refused["share"]["value"] == refused["n"] / 16
    assert found["robustness"]["n"] == found["saliency"]["n"] == 16
    assert found["certificate"] is None
    (point, *_) = json.loads((tmp_path / "out/metrics.json").read_text())[
        "operating_points"
    ].values()
    assert [each["prevalence"] for each in point["predictive"]] == [0.03]  # of the project
    assert found["provenance"]["model"].startswith("test_efficientnet-full, version ")


def test_films_without_splits_are_all_or_none(model: Path, films: Path, tmp_path: Path) -> None:
    arguments = ("--bundle", model, "--source", films / "test", "--out", tmp_path / "out")
    with pytest.raises(EvaluationError, match=r"only all\. Give --split all"):
        _report(*arguments)
    _report(*arguments, "--split", "all")
    page = (tmp_path / "out/report.md").read_text("utf-8")
    assert "They are the split `all` of their source; this report calls them test." in page


def test_what_cannot_be_reported_is_one_sentence(model: Path, films: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no split 'moon'"):
        _report("--bundle", model, "--source", films, "--split", "moon", "--out", tmp_path / "out")
    with pytest.raises(EvaluationError, match="figures need at least 3 films"):
        _report("--bundle", model, "--source", films, "--split", "val", "--out", tmp_path / "out")
    (model / "weights.safetensors").write_bytes(b"altered")
    with pytest.raises(BundleError, match="was altered"):
        _report("--bundle", model, "--source", films, "--out", tmp_path / "out")
    assert not (tmp_path / "out/index.html").exists()
