import os

import pytest
import torch

from pneumo_core.models.compute import choose_device
from pneumo_core.models.randomness import CUBLAS, deterministic, seeded

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


def test_draws_follow_the_seed_and_leave_the_outside_alone() -> None:
    outside = torch.get_rng_state()
    drawn = []
    for seed in (3, 3, 4):
        with seeded(seed, DEVICE):
            drawn.append(torch.rand(2).tolist())
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(torch.get_rng_state(), outside)
