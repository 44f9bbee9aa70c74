"""One training a device, and nobody keeps it after death."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.device_lock import own_device

pytestmark = pytest.mark.slow

HOLD = (
    "from tasks.device_lock import own_device\n"
    "with own_device():\n"
    "    print('held', flush=True)\n"
    "    input()\n"
)


def test_a_killed_holder_frees_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.device_lock.num_slots", lambda: 1)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    time.sleep(1)
    holder.kill()
    holder.communicate()
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "held\n"
    waiter.communicate("\n")
    with own_device():
        name = f"device-{socket.gethostname()}-cpu-0.lock"
        assert (tmp_path / "var" / "locks" / name).exists()


def test_a_gpu_has_one_lock_by_whatever_number_a_process_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under Ray, which shows each task only its own GPU, as number 0."""
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", lambda _: None)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    for uuid in ("a1", "b2"):
        properties = SimpleNamespace(uuid=uuid)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, p=properties: p)
        with own_device():
            assert (tmp_path / "var" / "locks" / f"device-{uuid}.lock").exists()
