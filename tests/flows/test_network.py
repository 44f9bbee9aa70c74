"""No network call by default: whatever a whole run and its commands start may reach this machine.

The project of these tests ran with the network closed as well.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.fixtures.small_projects import serving_champion

Closed = dict[str, str]


def test_the_network_is_closed_to_children_too(closed_network: Closed, tmp_path: Path) -> None:
    log = tmp_path / "asked"
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    asks = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=1)"
    child = subprocess.run(
        [sys.executable, "-c", code, asks],
        env=closed_network | {"PNEUMO_NETWORK_LOG": str(log)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "The network is closed: 192.0.2.1" in child.stderr
    assert log.read_text().startswith("192.0.2.1 asked for by")


def test_a_whole_run_asked_for_nobody(trained: Path) -> None:
    assert json.loads((trained / "results/promote/decision.json").read_text())
    assert not (trained / "asked").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("pneumo", "predict", "film.jpeg"),
        ("pneumo", "registry", "verify"),
        ("dvc", "status"),
        ("pneumo", "run"),
    ],
    ids=" ".join,
)
def test_a_command_asks_for_nobody(
    command: tuple[str, ...], trained: Path, closed_network: Closed, tmp_path: Path
) -> None:
    log = tmp_path / "asked"
    film = next((trained / "results/ingest/raw/test/NORMAL").iterdir())
    named = [str(film) if word == "film.jpeg" else word for word in command]
    env = closed_network | {"PNEUMO_NETWORK_LOG": str(log)}
    result = subprocess.run(named, cwd=trained, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert not log.exists(), log.read_text()


def test_the_service_asks_for_nobody(
    trained: Path,
    closed_network: Closed,
    tmp_path: Path,
    free_ports: Callable[..., dict[str, int]],
) -> None:
    log = tmp_path / "asked"
    film = next((trained / "results/ingest/raw/test/NORMAL").iterdir())
    env = closed_network | {"PNEUMO_NETWORK_LOG": str(log)}
    with serving_champion(trained, env, free_ports("serve")["serve"]) as address:
        answer = httpx.post(f"{address}/v1/predict", files={"file": film.read_bytes()}, timeout=60)
        assert answer.status_code == 200, answer.text
    assert not log.exists(), log.read_text()
