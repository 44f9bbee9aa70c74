"""`model.onnx`: the same model for any program, or a reason why there is none."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import pneumo_core as pneumo
from pneumo_core.arrays import Images
from pneumo_core.evaluation import onnx_export
from pneumo_core.evaluation.hirescam import contributions
from pneumo_core.evaluation.onnx_export import TOLERANCE, export
from pneumo_core.evaluation.scoring import predict
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models.bundle import Normalisation, OnnxRecord
from pneumo_core.models.compute import to_input
from pneumo_core.models.weights import create_model

ROOT = Path(__file__).parents[3]
NORMALISATION = Normalisation(0.5, 0.25)
WITH_MAP = ["logits", "features", "feature_map"]


def _model(architecture: str) -> Any:
    torch.manual_seed(0)
    return create_model(architecture, "none", 2, 64)[0].eval()


@pytest.fixture(scope="module")
def noise() -> Images:
    return np.random.default_rng(0).integers(0, 256, (7, 64, 64), dtype=np.uint8)


@pytest.mark.parametrize(
    ("architecture", "outputs"),
    [
        ("test_efficientnet", [*WITH_MAP, "evidence"]),
        ("test_resnet", [*WITH_MAP, "evidence"]),
        ("test_convnext", WITH_MAP),  # its head has a norm behind the pooling
        ("test_vit", WITH_MAP[:2]),
    ],
)
def test_another_program_finds_what_torch_finds(
    architecture: str, outputs: list[str], noise: Images, tmp_path: Path
) -> None:
    """ONNX Runtime, in batches that the export has not seen, on films that it has not."""
    model = _model(architecture)
    record = export(model, NORMALISATION, noise[:3], tmp_path / "model.onnx")
    assert isinstance(record, OnnxRecord)
    assert list(record.max_difference) == outputs
    assert max(record.max_difference.values()) <= record.tolerance == TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert [output.name for output in session.get_outputs()] == outputs
    first, others = (session.run(outputs, {"films": part}) for part in (noise[:1], noise[1:]))
    found = dict(zip(outputs, map(np.concatenate, zip(first, others, strict=True)), strict=True))
    margins, features = predict(TorchEngine(model, NORMALISATION), noise)
    assert np.abs(np.diff(found["logits"])[:, 0] - margins).max() < TOLERANCE
    assert np.allclose(found["features"], features, atol=TOLERANCE * features.max())
    if "evidence" in outputs:
        evidence = contributions(model, to_input(torch.from_numpy(noise), NORMALISATION), 1).numpy()
        atol = TOLERANCE * np.abs(evidence).max()
        assert np.allclose(found["evidence"], evidence, rtol=0, atol=atol)


def test_a_model_gives_the_same_bytes_each_time(noise: Images, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "ab"]
    records = [export(_model("test_resnet"), NORMALISATION, noise, path) for path in paths]
    assert records[0] == records[1]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def _i0(_: object, __: object, output: torch.Tensor) -> torch.Tensor:
    return torch.special.i0e(output)  # ONNX has no such operator


def _alien(_: object, __: object, output: torch.Tensor) -> torch.Tensor:
    return output * float(output.detach().sum())  # in the file a constant, that of another film


@pytest.mark.parametrize(
    ("hook", "reason"),
    [(_i0, "it cannot be exported"), (_alien, "its logits differ from torch's by")],
)
def test_what_cannot_be_exported_says_why_and_leaves_no_file(
    hook: Any, reason: str, noise: Images, tmp_path: Path
) -> None:
    model = _model("test_efficientnet")
    model.bn1.register_forward_hook(hook)
    found = export(model, NORMALISATION, noise, tmp_path / "model.onnx")
    assert isinstance(found, str)
    assert found.startswith(reason)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "share", "is_near"),
    [
        ("features", 0.5, True),
        ("features", 5, False),
        ("feature_map", 5, True),
        ("feature_map", 50, False),
        ("evidence", 5, True),
    ],
)
@pytest.mark.parametrize("way", ["_one_by_one", "_in_batches"])
def test_how_near_each_output_must_be(
    way: str,
    name: str,
    share: float,
    is_near: bool,
    noise: Images,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In shares of the tolerance: a cell of a map is no mean, and rounding does not cancel."""
    read = getattr(onnx_export, way)

    def off(file: bytes, films: Images, names: list[str]) -> dict[str, Any]:
        found = read(file, films, names)
        return found | {name: found[name] + share * TOLERANCE * np.abs(found[name]).max()}

    monkeypatch.setattr(onnx_export, way, off)
    model = _model("test_efficientnet")
    found = export(model, NORMALISATION, noise, tmp_path / "model.onnx")
    assert isinstance(found, OnnxRecord) is is_near


def test_the_model_stays_as_it_was(noise: Images, tmp_path: Path) -> None:
    model = _model("test_efficientnet").train()
    export(model, NORMALISATION, noise, tmp_path / "model.onnx")
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_the_page_s_lines_give_our_probability_without_us(
    small_bundle: Path, small_film: Any, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "bundle").symlink_to(small_bundle)
    film = tmp_path / "film.png"
    Image.fromarray(small_film(3)).save(film)
    alone = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (ours,) = pneumo.predict(pneumo.load_model(small_bundle), [film])
    assert float(alone.stdout) == pytest.approx(ours["probability"], abs=1e-6)
