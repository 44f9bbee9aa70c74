import resource
import sys
from collections.abc import Callable

import pytest
import torch

from pneumo_core.allocation import freed_memory_kept

SIZE = 64 * 2**20  # bytes: more than glibc keeps of its own


def _faults(rounds: int) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.empty(SIZE, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_pages_are_paid_for_once_inside_and_given_back_after() -> None:
    pages = SIZE // resource.getpagesize()
    with freed_memory_kept():
        _faults(30)  # the heap finds its size
        assert _faults(4) < pages
    assert _faults(1) > 0.9 * pages


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Callable[[object], object] = lambda _: object()  # noqa: E731
    monkeypatch.setattr("ctypes.CDLL", nothing)
    with freed_memory_kept():
        assert torch.zeros(3).sum() == 0
