"""Clients that send half a request, or nothing."""

import resource
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from flows.serving import connections, server
from flows.serving.app import create_app
from flows.serving.models import Model

HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
WHOLE = HALF + b"\r\n"
NO_BODY = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nx"
NOT_READ = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\nx"


@pytest.fixture
def running(small_model: Model) -> Callable[..., Any]:
    """The service in a thread of this process, with few connections; gives what listens."""

    @contextmanager
    def run(most: int) -> Iterator[connections.Listener]:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        listener = connections.Listener(listening, most)
        address = server.Address("127.0.0.1", port)
        service = server.configured(create_app(small_model, lambda _: None), address, listener)
        thread = threading.Thread(target=service.run, kwargs={"sockets": [listener]})
        thread.start()
        while not service.started:
            time.sleep(0.01)
        yield listener
        service.should_exit = True
        thread.join(30)

    return run


def _connect(port: int, sent: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(sent)
    return client


def _received(client: socket.socket) -> bytes:
    """All until the server ends the connection."""
    received = b""
    while piece := _piece(client):
        received += piece
    return received


def _piece(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""


def test_request_that_does_not_arrive_in_time_is_ended(
    running: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_S", 0.3)
    monkeypatch.setattr(connections, "BODY_S", 0.6)
    with running(64) as listener, ExitStack() as opened:
        port = listener.getsockname()[1]
        clients = [
            opened.enter_context(_connect(port, sent))
            for sent in (b"", b"G", HALF, NO_BODY, NOT_READ, WHOLE, WHOLE + HALF)
        ]
        answers = [_received(client) for client in clients]
    assert answers[:3] == [b"", b"", b""]
    assert all(b"200 OK" in answer for answer in answers[4:])
    assert b"200 OK" not in answers[3]


def test_newcomer_takes_the_place_of_who_waited_longest(running: Callable[..., Any]) -> None:
    with running(4) as listener, ExitStack() as opened:
        port = listener.getsockname()[1]
        idle = [opened.enter_context(_connect(port, HALF)) for _ in range(4)]
        new = opened.enter_context(_connect(port, HALF))
        assert _received(idle[0]) == b""
        for client in (new, *idle[1:]):
            client.sendall(b"Connection: close\r\n\r\n")
            assert b"200 OK" in _received(client)


def test_whoever_is_being_answered_keeps_the_place(
    running: Callable[..., Any],
    small_model: Model,
    film_bytes: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()
    admit = type(small_model.reader).admit

    def slow(reader: Any, data: bytes) -> Any:
        assert go_on.wait(30)
        return admit(reader, data)

    monkeypatch.setattr(type(small_model.reader), "admit", slow)
    with running(2) as listener, ThreadPoolExecutor() as clients:
        port = listener.getsockname()[1]
        address, film = f"http://127.0.0.1:{port}/v1/predict", {"file": film_bytes(0)}
        posted = [clients.submit(httpx.post, address, files=film, timeout=60) for _ in range(2)]
        deadline = time.monotonic() + 30
        while len(listener.busy) < 2:  # neither waits for its request any more
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with _connect(port, WHOLE) as refused:
            assert _received(refused) == b""
        go_on.set()
        assert [answer.result().status_code for answer in posted] == [200, 200]
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200


@pytest.mark.slow
def test_others_are_served_beside_1100_clients_that_send_half_a_request(
    serving: Callable[..., Any], film_bytes: Callable[..., bytes], tmp_path: Path
) -> None:
    """With 1,024 file descriptors, as a process has by default. `-s` shows the times."""
    films = [{"file": film_bytes(number)} for number in range(20)]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))

    def seconds(film: Any) -> float:
        begun = time.perf_counter()
        with httpx.Client(timeout=60) as client:  # a connection of its own
            assert client.post(f"{address}/v1/predict", files=film).status_code == 200
        return time.perf_counter() - begun

    with serving(tmp_path) as address, ThreadPoolExecutor(20) as clients:
        list(clients.map(seconds, films))
        alone = list(clients.map(seconds, films * 5))
        stop = threading.Event()
        attack = threading.Thread(target=_attack, args=(urlsplit(address).port, stop))
        attack.start()
        time.sleep(3)
        beside = list(clients.map(seconds, films * 5))
        stop.set()
        attack.join()
        print("median s alone, beside:", statistics.median(alone), statistics.median(beside))
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def _attack(port: int, stop: threading.Event) -> None:
    """Keep 1,100 half-requests open; the oldest, which the server may have ended, is made again."""
    idle = [_connect(port, HALF) for _ in range(1100)]
    while not stop.wait(0.02):
        idle.pop(0).close()
        idle.append(_connect(port, HALF))
    for client in idle:
        client.close()
