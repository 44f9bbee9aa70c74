import os

import pytest
import torch

from pneumo_core.models.compute import choose_device
from pneumo_core.models.randomness import (
    CUBLAS,
    deterministic,
    random_state,
    seeded,
    set_random_state,
)

DEVICE = choose_device("float32")


def _flags() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    algorithms = torch.are_deterministic_algorithms_enabled()
    return algorithms, cudnn.deterministic, cudnn.benchmark, os.environ.get(CUBLAS)


@pytest.mark.parametrize("workspace", [None, ":16:8"])
def test_deterministic_holds_inside_and_leaves_all_as_it_was(
    monkeypatch: pytest.MonkeyPatch, workspace: str | None
) -> None:
    monkeypatch.delenv(CUBLAS, raising=False)
    if workspace:
        monkeypatch.setenv(CUBLAS, workspace)
    before = _flags()
    inside: list[tuple[object, ...]] = []

    def fail() -> None:
        with deterministic(True):
            inside.append(_flags())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [(True, True, False, workspace or ":4096:8")]
    assert _flags() == before == (False, False, False, workspace)


def test_not_deterministic_changes_nothing() -> None:
    before = _flags()
    with deterministic(False):
        assert _flags() == before


def test_draws_follow_the_seed_and_go_on_where_they_were_saved() -> None:
    outside = torch.get_rng_state()
    with seeded(3, DEVICE):
        torch.rand(2)
        saved = random_state(DEVICE)
        expected = torch.rand(2)
    with seeded(3, DEVICE):
        set_random_state(saved)
        assert torch.equal(torch.rand(2), expected)
    assert torch.equal(torch.get_rng_state(), outside)
