from typing import Any

import pytest
import torch
from torch import nn

from pneumo_core.errors import TrainingError
from pneumo_core.models.strategies import Trunk, cut, freeze, set_train_mode, trainable_names
from pneumo_core.models.weights import create_model, state_sha256
from pneumo_core.params import Strategy

pytestmark = pytest.mark.slow

# Trained parameters of frozen, partial, full; what the partial strategy trains first.
COUNTS = {
    "tf_efficientnet_lite0": ((2_562, 2_672_802, 3_373_570), "blocks.5"),
    "densenet121": ((2_050, 5_526_274, 6_955_906), "features.denseblock3"),
    "convnext_tiny": ((1_538, 26_586_626, 27_821_666), "stages.2"),
    "resnet50": ((4_098, 22_067_202, 23_512_130), "layer3"),
}


@pytest.fixture(scope="module", params=list(COUNTS))
def model(request: Any) -> Any:
    return create_model(request.param, "none", 2)[0]


def _architecture(model: Any) -> str:
    return str(model.pretrained_cfg["architecture"])


def _films(num_films: int = 2, size_px: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_films)
    return torch.randn(num_films, 3, size_px, size_px, generator=generator)


def _trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_strategies_train_what_they_say(model: Any) -> None:
    counts, first_partial = COUNTS[_architecture(model)]
    for strategy, count in zip(Strategy, counts, strict=True):
        freeze(model, strategy)
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count
        assert _trained(model) == trainable_names(model, strategy)
    freeze(model, Strategy.PARTIAL)
    assert any(name.startswith(first_partial) for name in _trained(model))
    freeze(model, Strategy.FROZEN)
    assert all(not name.startswith(first_partial) for name in _trained(model))


@pytest.mark.parametrize("strategy", [Strategy.FROZEN, Strategy.PARTIAL])
def test_trunk_and_tail_are_the_model(model: Any, strategy: Strategy) -> None:
    freeze(model, strategy)
    parts = cut(model, _films(2))
    assert parts is not None
    trunk, tail = parts
    x_BCHW = _films(3)  # not the films that the cut was tried on
    with torch.no_grad():
        torch.testing.assert_close(
            tail.eval()(trunk(x_BCHW)), model.eval()(x_BCHW), rtol=1e-5, atol=1e-5
        )
    assert _trained(tail) == _trained(model)
    assert sum(p.numel() for p in tail.parameters()) < sum(p.numel() for p in model.parameters())
    if strategy is Strategy.PARTIAL:
        assert trunk.cut_name == COUNTS[_architecture(model)][1]


def test_trunk_holds_nothing_that_trains(model: Any) -> None:
    """So that cells that differ in what trains share their features."""
    hashes = set()
    for _ in range(2):
        model.reset_classifier(2)  # another random one each time
        freeze(model, Strategy.FROZEN)
        parts = cut(model, _films())
        assert parts is not None
        hashes.add(state_sha256(parts[0]))
    assert len(hashes) == 1


def test_model_is_whole_after_a_cut(model: Any) -> None:
    freeze(model, Strategy.FROZEN)
    cut(model, _films())
    with torch.no_grad():
        assert model(_films()).shape == (2, 2)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_full_strategy_has_no_cut(model: Any) -> None:
    freeze(model, Strategy.FULL)
    assert cut(model, _films()) is None


@pytest.mark.parametrize("strategy", list(Strategy))
def test_frozen_batch_norms_keep_their_statistics(strategy: Strategy) -> None:
    model = create_model("test_efficientnet", "none", 2)[0]
    freeze(model, strategy)
    set_train_mode(model)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    before = {name: norm.running_mean.clone() for name, norm in norms.items()}
    model(_films())
    for name, norm in norms.items():
        trains = f"{name}.weight" in _trained(model)
        assert norm.training == trains
        assert torch.equal(norm.running_mean, before[name]) != trains
    assert model.get_classifier().training
    num_training = sum(norm.training for norm in norms.values())
    assert (num_training == 0) == (strategy is Strategy.FROZEN)
    assert (num_training == len(norms)) == (strategy is Strategy.FULL)


@pytest.mark.parametrize("strategy", [Strategy.FROZEN, Strategy.PARTIAL])
def test_vision_transformer_has_no_cut_and_says_so(strategy: Strategy) -> None:
    model = create_model("test_vit", "none", 2)[0]
    freeze(model, strategy)
    assert 0 < len(_trained(model)) < len(list(model.parameters()))
    assert cut(model, _films(size_px=160)) is None


def test_model_without_a_classifier_is_an_error() -> None:
    model = create_model("test_efficientnet", "none", 0)[0]
    with pytest.raises(TrainingError, match="has no classifier to train"):
        freeze(model, Strategy.FROZEN)


def test_trunk_that_never_reaches_its_cut_is_an_error() -> None:
    model = nn.Sequential(nn.Identity())
    model.spare = nn.Linear(1, 1)
    model.forward = lambda x: x  # type: ignore[method-assign]
    with pytest.raises(TrainingError, match="never reached its cut"):
        Trunk(model, "spare")(torch.zeros(1))
