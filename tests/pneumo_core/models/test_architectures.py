import json
import time
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from pneumo_core.errors import TrainingError, WeightsError
from pneumo_core.evaluation.scoring import predict
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models import architectures, bundled_model
from pneumo_core.models.architectures import Architecture, require_trainable, resolve
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.weights import create_model, state_sha256
from pneumo_core.params import Params, Strategy
from pneumo_core.training.context import Cell
from pneumo_core.training.training import LabelledFilms, train

HUB_MODEL = "hf-hub:clinic/lung.v1"

# Cheap ones of every kind: fixed input sizes, two heads, odd classifiers, shared tensors, ...
KINDS = {
    "test_vit": 96,
    "test_vit_relpos": 96,
    "deit_tiny_distilled_patch16_224": 64,
    "levit_128s": 64,
    "cait_xxs24_224": 64,
    "efficientvim_m1_dist": 64,
    "resmlp_12_224": 64,
    "efficientformerv2_s0": 64,
    "coat_lite_tiny": 64,
    "repvit_m0_9": 64,
    "mobileone_s0": 64,
    "lambda_resnet26t": 64,
    "dla34": 64,
    "test_nfnet": 64,
    "crossvit_9_240": 240,
    "swinv2_cr_tiny_224": 64,
}


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """A model as the hub's client leaves it on disk, on a machine without a network."""
    revision = "0" * 40
    repository = tmp_path / "models--clinic--lung.v1"
    snapshot = repository / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    config = {"mean": [0.4] * 3, "std": [0.2] * 3, "input_size": [3, 160, 160]}
    config |= {"fixed_input_size": True, "first_conv": "patch_embed.proj", "classifier": "head"}
    content = {"architecture": "test_vit", "num_classes": 3, "pretrained_cfg": config}
    (snapshot / "config.json").write_text(json.dumps(content | {"model_args": {"mlp_ratio": 2.0}}))
    model: torch.nn.Module = timm.create_model("test_vit", num_classes=3, mlp_ratio=2.0)
    save_file(model.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    resolve.cache_clear()
    return model


def test_model_of_the_hub_is_built_from_what_the_hub_says(hub_cache: torch.nn.Module) -> None:
    architecture = resolve(HUB_MODEL, 96)
    assert architecture == Architecture("test_vit", {"mlp_ratio": 2.0, "img_size": 96})
    model, provenance = create_model(HUB_MODEL, "auto", 2, size_px=96)
    assert provenance.sha256 == state_sha256(hub_cache)
    assert provenance.origin == "timm hub: clinic/lung.v1"
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 2)
    assert Normalisation.of_model(model).mean == pytest.approx(0.4)
    rebuilt = architecture.build(2)  # of a bundle, without the hub
    rebuilt.load_state_dict(model.state_dict())
    require_trainable(HUB_MODEL, 96, Strategy, pretrained=True)


@pytest.mark.usefixtures("hub_cache")
def test_model_of_the_hub_and_a_folder_of_weights_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="has weights of its own: set"):
        create_model(HUB_MODEL, str(tmp_path), 2)


@pytest.mark.usefixtures("hub_cache")
def test_hub_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(WeightsError, match="hf-hub:clinic/other could not be read from the"):
        resolve("hf-hub:clinic/other", 96)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet_50", r"timm knows no model 'resnet_50'\. Did you mean resnet50"),
        ("timm/resnet50", "is written hf-hub:owner/name"),
        ("hf-hub:resnet50", "is written hf-hub:owner/name"),
        ("https://host/x", "is written hf-hub:owner/name"),
    ],
)
def test_unknown_names_are_an_error(name: str, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        resolve(name, 96)


@pytest.mark.parametrize(
    ("model", "size_px", "pretrained", "message"),
    [
        ("crossvit_9_240", 224, False, r"films of 224 px: set validate\.image_size_px to 240"),
        ("efficientformer_l1", 128, False, r"films of 128 px: set validate\.image_size_px to 224"),
        ("pit_ti_224", 224, False, r"cannot train pit_ti_224: .* no stages of .* frozen or full"),
        ("rdnet_tiny", 64, False, r"cannot train rdnet_tiny: .* no stages of RDNet: use frozen"),
        ("resmlp_12_224", 128, True, r"films of 128 px: set validate\.image_size_px to 224"),
        ("inception_v3", 32, False, r"films of 32 px: set validate\.image_size_px to 299"),
    ],
)
def test_models_that_cannot_learn_are_refused_in_one_line(
    model: str, size_px: int, pretrained: bool, message: str
) -> None:
    begun = time.process_time()
    with pytest.raises(TrainingError, match=message) as caught:
        require_trainable(model, size_px, Strategy, pretrained)
    assert "\n" not in str(caught.value)
    assert time.process_time() - begun < 10  # measured: under 1 s


def test_large_models_are_tried_without_their_memory() -> None:
    require_trainable("vit_7b_patch16_dinov3", 224, [Strategy.FROZEN], pretrained=False)


def test_model_without_a_classifier_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        architectures, "resolve", lambda *_: Architecture("test_vit", {"global_pool": ""})
    )
    with pytest.raises(TrainingError, match="its output has the shape"):
        require_trainable("test_vit", 160, Strategy, pretrained=False)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", list(Strategy))
@pytest.mark.parametrize("model", list(KINDS))
def test_kinds_of_models_learn(
    model: str, strategy: Strategy, params_with: Callable[..., Params], tmp_path: Path
) -> None:
    rng, size_px = np.random.default_rng(0), KINDS[model]
    pixels = rng.integers(0, 256, (4, size_px, size_px), np.uint8)
    films = LabelledFilms(pixels, np.array([0, 1, 0, 1]))
    params = params_with(
        train={"weights": "none", "batch_size": 4, strategy.value: {"lr": 1e-4, "epochs": 1}}
    ).train
    trained = train(Cell(model, strategy), films, films, params, tmp_path, lambda _: None)
    bundled_model.write_weights(trained.model, tmp_path / "weights.safetensors")
    rebuilt = trained.architecture.build(2)
    rebuilt.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    logits, features = predict(TorchEngine(rebuilt, trained.normalisation), pixels)
    assert np.isfinite(logits).all()
    assert features.ndim == 2
