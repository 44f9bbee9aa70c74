"""One training a device, and nobody keeps it after death."""

import subprocess
import sys
import time
from pathlib import Path

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
        assert (tmp_path / "var" / "locks" / "device-0.lock").exists()
