import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from pneumo_core.allocation import freed_memory_kept

SIZE = 64 * 2**20  # bytes: more than glibc keeps of its own


ALONE = f"""
import resource
import torch
from pneumo_core.allocation import freed_memory_kept
def faults(rounds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(rounds):
        torch.empty({SIZE}, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
pages = {SIZE} // resource.getpagesize()
with freed_memory_kept():
    faults(30)  # the heap finds its size
    print(faults(4) < pages)
print(faults(1) > 0.9 * pages)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_pages_are_paid_for_once_inside_and_given_back_after() -> None:
    """In a process of its own: other tests leave threads and memory behind."""
    command = [sys.executable, "-c", ALONE]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "True\nTrue\n"


IN_A_THREAD = f"""
import resource
from threading import Thread
from pneumo_core.allocation import freed_memory_kept
with freed_memory_kept():
    import torch
    def work():
        with freed_memory_kept():
            run(30)
        print(run(4) < {SIZE} // resource.getpagesize())
    def run(rounds):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(rounds):
            torch.empty({SIZE}, dtype=torch.uint8).fill_(1)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    thread = Thread(target=work)
    thread.start()
    thread.join()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_a_later_thread_pays_once_too_and_an_inner_end_changes_nothing() -> None:
    """In a process of its own: heaps of threads that ended are handed on to later ones."""
    command = [sys.executable, "-c", IN_A_THREAD]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Callable[[object], object] = lambda _: object()  # noqa: E731
    monkeypatch.setattr("ctypes.CDLL", nothing)
    with freed_memory_kept():
        assert torch.zeros(3).sum() == 0
