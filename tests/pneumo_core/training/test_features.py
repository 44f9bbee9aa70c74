"""What frozen layers see, kept on disk: within its bound, and never that of another input."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pneumo_core.arrays import Gray
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import choose_device
from pneumo_core.models.strategies import Trunk, cut, freeze
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy
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
        return cache.get(trunk, sets[index], normalisation, device)

    first, _ = get(0).clone(), get(1)
    (path_of_first,) = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)[:1]
    get(0)  # now the second set is the one not used for longest
    get(2)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= cache.max_bytes
    assert path_of_first.exists()
    assert first.shape == (10, 256)
    assert torch.equal(get(0), first)


@pytest.mark.parametrize("change", ["film", "trunk", "normalisation"])
def test_changed_input_never_finds_the_old_features(
    tmp_path: Path, trunk: Trunk, film: Callable[..., Gray], change: str
) -> None:
    device, cache = choose_device("float32"), FeatureCache(tmp_path, 10**9)
    images, other, normalisation = film(1)[None], trunk, Normalisation(0.5, 0.5)
    cache.get(trunk, images, normalisation, device)
    if change == "film":
        images = images.copy()
        images[0, 3, 3] ^= 1
    elif change == "normalisation":
        normalisation = Normalisation(0.5, 0.4)
    else:
        model = create_model(SMALL, "none", 2)[0]
        freeze(model, Strategy.FROZEN)
        other = cut(model, torch.zeros(2, 3, 64, 64))[0]
    cache.get(other, images, normalisation, device)
    assert len(list(tmp_path.iterdir())) == 2
