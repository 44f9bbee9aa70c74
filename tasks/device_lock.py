"""One training a device, held by the operating system: a crashed process cannot keep it.

The locks lie with the project, which several machines may share: each has its device's own name,
whatever number a process knows it by.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from tasks import paths

POLL_S = 0.5


def num_slots() -> int:
    """How many trainings can run at once: one a GPU, or one on the CPU.

    The processes that torchrun starts for one training on the CPU have a slot each.
    """
    import torch

    return torch.cuda.device_count() or int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextmanager
def own_device() -> Iterator[None]:
    """Waits for a free device and makes it the current one."""
    import torch

    lock, slot = _wait_for_slot()
    try:
        if torch.cuda.is_available():
            torch.cuda.set_device(slot)
        yield
    finally:
        lock.release()


def _wait_for_slot() -> tuple[FileLock, int]:
    folder = paths.SCRATCH / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for slot in range(num_slots()):
            lock = FileLock(folder / f"device-{_name(slot)}.lock")
            with suppress(Timeout):
                lock.acquire(blocking=False)
                return lock, slot
        time.sleep(POLL_S)


def _name(slot: int) -> str:
    import torch

    if torch.cuda.is_available():
        return str(torch.cuda.get_device_properties(slot).uuid)
    return f"{socket.gethostname()}-cpu-{slot}"
