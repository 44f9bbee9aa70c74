"""What frozen layers see, kept on disk: within its bound, and never that of another input."""

import copy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pneumo_core import versions
from pneumo_core.arrays import Gray
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import Device, choose_device
from pneumo_core.models.strategies import Trunk, cut, cut_twice, freeze
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy
from pneumo_core.training.extractor import Extractor
from pneumo_core.training.features import FeatureCache

SMALL = "test_efficientnet"


@pytest.fixture(scope="module")
def trunk() -> Trunk:
    model = create_model(SMALL, "none", 2)[0]
    freeze(model, Strategy.FROZEN)
    parts = cut(model, torch.zeros(2, 3, 64, 64))
    assert parts is not None
    return parts[0]


def test_cache_stays_within_its_bound_and_drops_what_was_used_least_recently(
    tmp_path: Path, trunk: Trunk, film: Callable[..., Gray]
) -> None:
    device, normalisation = choose_device("float32"), Normalisation(0.5, 0.5)
    cache = FeatureCache(tmp_path, max_bytes=2 * 10 * 256 * 4)  # room for two sets of ten films
    sets = [np.stack([film(10 * i + j) for j in range(10)]) for i in range(3)]

    def get(index: int) -> torch.Tensor:
        time.sleep(0.02)  # longer than the tick by which files are dated
        films = sets[index]
        return cache.get(Extractor(trunk, device, torch.as_tensor(films), normalisation), films)

    first, _ = get(0).clone(), get(1)
    (path_of_first,) = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)[:1]
    get(0)  # now the second set is the one not used for longest
    get(2)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= cache.max_bytes
    assert path_of_first.exists()
    assert first.shape == (10, 256)
    assert torch.equal(get(0), first)


def test_architectures_with_the_same_tensors_share_no_features(
    tmp_path: Path, film: Callable[..., Gray]
) -> None:
    """They differ in their padding and in batch-norm's epsilon, which no tensor shows."""
    device, cache = choose_device("float32"), FeatureCache(tmp_path, 10**9)
    models = [
        create_model(name, "none", 2)[0] for name in ("efficientnet_b0", "tf_efficientnet_b0")
    ]
    models[1].load_state_dict(models[0].state_dict())
    features = []
    for model in models:
        freeze(model, Strategy.FROZEN)
        parts = cut(model, torch.zeros(2, 3, 64, 64))
        assert parts is not None
        images = film(1)[None]
        extractor = Extractor(parts[0], device, torch.as_tensor(images), Normalisation(0.5, 0.5))
        features.append(cache.get(extractor, images))
    assert not torch.equal(*features)


@pytest.mark.parametrize("change", ["film", "trunk", "normalisation", "timm", "layer"])
def test_changed_input_never_finds_the_old_features(
    tmp_path: Path,
    trunk: Trunk,
    film: Callable[..., Gray],
    change: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device, cache = choose_device("float32"), FeatureCache(tmp_path, 10**9)
    images, other, normalisation = film(1)[None], trunk, Normalisation(0.5, 0.5)

    def get() -> None:
        cache.get(Extractor(other, device, torch.as_tensor(images), normalisation), images)

    get()
    if change == "film":
        images = images.copy()
        images[0, 3, 3] ^= 1
    elif change == "normalisation":
        normalisation = Normalisation(0.5, 0.4)
    elif change == "timm":
        monkeypatch.setattr(versions, "version", lambda name: f"another {name}")
    elif change == "layer":
        other = copy.deepcopy(trunk)
        other.model.bn1.eps *= 2
    else:
        model = create_model(SMALL, "none", 2)[0]
        freeze(model, Strategy.FROZEN)
        other = cut(model, torch.zeros(2, 3, 64, 64))[0]
    get()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", [SMALL, "test_resnet", "test_convnext"])
def test_a_trunk_in_two_halves_gives_the_same_bits_and_keeps_those_of_the_partial_cell(
    name: str, tmp_path: Path, film: Callable[..., Gray]
) -> None:
    device, normalisation = choose_device("float32"), Normalisation(0.5, 0.5)
    images = np.stack([film(seed, 160, 160) for seed in range(3)])
    films, example = torch.from_numpy(images), torch.zeros(2, 3, 160, 160)
    frozen = device.place(create_model(name, "none", 2)[0])
    partial = copy.deepcopy(frozen)
    freeze(frozen, Strategy.FROZEN)
    freeze(partial, Strategy.PARTIAL)
    of_frozen, of_partial = (
        Extractor(cut(model, example)[0], device, films, normalisation)
        for model in (frozen, partial)
    )
    halves = cut_twice(frozen, Strategy.PARTIAL, example)
    assert halves is not None
    first = Extractor(halves[0], device, films, normalisation)
    rest = Extractor(halves[1], device, first.in_torch(films))

    assert None not in (of_frozen._session, first._session, rest._session)
    straight = FeatureCache(tmp_path / "straight", 10**9).get(of_frozen, images)
    cache = FeatureCache(tmp_path / "halves", 10**9)
    assert torch.equal(cache.get(of_frozen, images, (first, rest)), straight)
    files = set((tmp_path / "halves").iterdir())
    cache.get(of_partial, images)
    assert set((tmp_path / "halves").iterdir()) == files
    assert len(files) == 2
    for each in (of_frozen, first, rest):
        each.device = Device(device.torch_device, bfloat16=True)  # as on a GPU
    in_halves = rest.in_torch(first.in_torch(films))
    assert torch.equal(in_halves, of_frozen.in_torch(films))
    assert not torch.allclose(in_halves.float(), straight, rtol=1e-4)


def test_a_model_that_trains_from_its_first_layer_has_no_halves() -> None:
    model = create_model(SMALL, "none", 2)[0]
    freeze(model, Strategy.FROZEN)
    assert cut_twice(model, Strategy.FULL, torch.zeros(2, 3, 64, 64)) is None
