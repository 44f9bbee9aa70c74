"""The service in this process, and as a user starts it."""

import io
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from flows.serving.app import Limits, create_app
from flows.serving.models import Model, load_model


@pytest.fixture(scope="session")
def film_bytes(small_film: Callable[[int], Any]) -> Callable[..., bytes]:
    """A film, or a picture given in its place, as the bytes of a file."""

    def encode(film: Any, kind: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        pixels = small_film(film) if isinstance(film, int) else film
        Image.fromarray(pixels).save(buffer, kind)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def photograph(small_film: Callable[[int], Any]) -> Any:
    return np.stack([small_film(number) for number in (1, 2, 3)], axis=2)


@pytest.fixture(scope="session")
def small_model(small_bundle: Path) -> Model:
    return load_model(small_bundle, "champion")


@pytest.fixture
def client(small_model: Model) -> Iterator[TestClient]:
    with TestClient(create_app(small_model, lambda _: None)) as client:
        yield client


@pytest.fixture
def client_with(small_model: Model) -> Iterator[Callable[..., TestClient]]:
    """A client of a service with other limits."""
    opened = []

    def open_it(**limits: Any) -> TestClient:
        app = create_app(small_model, lambda _: None, Limits(**limits))
        client = TestClient(app, raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield open_it
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def serving(small_bundle: Path, environment: dict[str, str]) -> Callable[..., Any]:
    """Run `pneumo serve` with these options in a folder, on a free port; gives the address."""

    @contextmanager
    def run(folder: Path, *options: Any) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    "prlimit",
                    "--nofile=1024",
                    "pneumo",
                    "serve",
                    "--bundle",
                    small_bundle,
                    "--port",
                    str(port),
                    *options,
                ],
                cwd=folder,
                env=environment | {"TMPDIR": "/nowhere"},  # a film written to disk fails
                stdout=log,
                stderr=log,
            )
        address = f"{'https' if '--tls-cert' in options else 'http'}://127.0.0.1:{port}"
        deadline = time.monotonic() + 300
        try:
            while not _is_alive(address):
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            assert server.wait(20) in {0, -15}

    return run


@pytest.fixture(scope="session")
def service(serving: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`pneumo serve` on a free port; its address."""
    folder = tmp_path_factory.mktemp("service")
    with serving(folder) as address:
        yield address
    assert sorted(path.name for path in folder.iterdir()) == ["log"]
    output = (folder / "log").read_text().splitlines()
    assert len(output) == 2, f"of requests the log says nothing: {output}"


def _is_alive(address: str) -> bool:
    anyone = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(f"{address}/healthz", timeout=2, context=anyone) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
