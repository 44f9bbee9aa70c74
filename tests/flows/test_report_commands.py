"""`pneumo report`: pages on any bundle and any labelled films, where no pipeline ever ran."""

import json
from pathlib import Path

import pytest
import timm
import torch
from typer.testing import CliRunner

from flows.cli import app
from pneumo_core import bundle
from pneumo_core.bundle import Description, OperatingPoint, Origin
from pneumo_core.compute import Normalisation
from pneumo_core.errors import BundleError, EvaluationError
from pneumo_core.sources.phantom import PhantomParams, PhantomSource, PhantomSplit
from pneumo_core.weights import Provenance

SIDE_PX = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a small network that knows nothing."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    weights = folder / "weights.safetensors"
    bundle.write_weights(timm.create_model("resnet10t", num_classes=2), weights)
    origin = Origin(
        data_sha256="",
        train_sha256="",
        code_version="0",
        params={},
        pretrained=Provenance("none", "random start", None),
    )
    description = Description(
        name="stranger",
        architecture="resnet10t",
        strategy="full",
        image_size_px=SIDE_PX,
        normalisation=Normalisation(0.5, 0.25),
        origin=origin,
        temperature=1.0,
        operating_points={"reading_aid": OperatingPoint(0.5, 0.4, 0.6)},
    )
    bundle.save(folder / "bundle", description, weights)
    return folder / "bundle"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    few = PhantomSplit(NORMAL=1, PNEUMONIA=1)
    test = PhantomSplit(NORMAL=8, PNEUMONIA=8)
    params = PhantomParams(kind="phantom", seed=1, train=few, val=few, test=test)
    for file in PhantomSource(params).files():
        path = folder / file.image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())
    return folder


def _report(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, ["report", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_pages_on_a_model_and_films_from_anywhere(model: Path, films: Path, tmp_path: Path) -> None:
    said = _report("--bundle", model, "--source", films, "--out", tmp_path)
    assert "16 films of test" in said
    page = (tmp_path / "index.html").read_text("utf-8")
    korean = (tmp_path / "index.ko.html").read_text("utf-8")
    assert "<strong>stranger</strong> was measured on 16 films (8 with pneumonia)" in page
    assert "영상 16장(폐렴 8장)" in korean
    for name in ("metrics.json", "predictions.csv", "films.csv", "report.md", "model_card.ko.md"):
        assert (tmp_path / name).is_file(), name
    found = json.loads((tmp_path / "report.json").read_text("utf-8"))
    levels = {each["name"]: each["level"] for each in found["trust"]}
    assert {levels[name] for name in ("leaks", "shortcuts", "shift", "elsewhere")} == {"open"}
    assert found["robustness"]["n"] == found["saliency"]["n"] == 16
    assert found["certificate"] is None
    assert found["provenance"]["model"] == str(model)


def test_what_cannot_be_reported_is_one_sentence(model: Path, films: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no split 'moon'"):
        _report("--bundle", model, "--source", films, "--split", "moon", "--out", tmp_path)
    with pytest.raises(EvaluationError, match="figures need at least 3 films"):
        _report("--bundle", model, "--source", films, "--split", "val", "--out", tmp_path)
    (model / "weights.safetensors").write_bytes(b"altered")
    with pytest.raises(BundleError, match="was altered"):
        _report("--bundle", model, "--source", films, "--out", tmp_path)
    assert not (tmp_path / "index.html").exists()
