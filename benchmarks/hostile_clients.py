"""Whether `pneumo serve` answers others as before while clients attack it.

    python benchmarks/hostile_clients.py BUNDLE FILMS [--requests 10000]

Sixteen clients post films alone, then beside an attack, then alone again: one request in twenty is
broken, slow, huge or crafted, and 1,100 connections hold half a request each, made again as the
service ends them. A refusal for want of room (503) is tried again after the second that it names.
Both sides run on the same cores, so the attackers' own work is part of the longer times.
"""

import argparse
import io
import itertools
import random
import resource
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from serving import NUM_CLIENTS, PNEUMO, Served, read_films, say, say_memory, serving

NUM_IDLE, NUM_ALONE, ONE_BAD_IN, NUM_BLOCKS = 1100, 1000, 20, 10
MAX_RATIO = 2
HALF = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n"
SLOW = HALF + (
    b"Content-Length: 100000\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
)
MAX_BYTES = 40_000_000  # of an upload (`Limits` in flows/serving/app.py)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("films", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    asked = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    films = read_films(asked.films)
    with (
        serving(PNEUMO, asked.bundle, films) as served,
        ThreadPoolExecutor(NUM_CLIENTS) as clients,
        ThreadPoolExecutor(64) as attackers,
    ):
        alone, _ = many(served, clients, NUM_ALONE)
        stop, answers = threading.Event(), Counter[str]()
        idle = threading.Thread(target=hold_connections, args=(served.address, stop))
        idle.start()
        attack = Attack(served, films, answers)
        beside, refused = list[float](), 0
        for _ in range(NUM_BLOCKS):
            for _ in range(asked.requests // NUM_BLOCKS // ONE_BAD_IN):
                attackers.submit(attack)
            num_good = asked.requests // NUM_BLOCKS * (ONE_BAD_IN - 1) // ONE_BAD_IN
            times, num_refused = many(served, clients, num_good)
            beside += times
            refused += num_refused
            served.note_memory()
        stop.set()
        idle.join()
        attackers.shutdown()
        after, _ = many(served, clients, NUM_ALONE)
        is_alive = served.process.is_running()
    show(alone + after, beside)
    print(f"{len(beside)} films read beside the attack, {refused} times for want of room later")
    print("attacks:", ", ".join(f"{what} {number}" for what, number in sorted(answers.items())))
    faults = sum(number for what, number in answers.items() if what.endswith("500"))
    say("no crash, no error of the server", is_alive and not faults)
    say_memory(served)


def show(alone: list[float], beside: list[float]) -> None:
    for name, share in (("median", 50), ("p95", 95)):
        both = [1e3 * float(np.percentile(times, share)) for times in (alone, beside)]
        say(
            f"{name} alone {both[0]:.0f} ms, beside the attack {both[1]:.0f} ms, "
            f"{both[1] / both[0]:.2f} times",
            both[1] <= MAX_RATIO * both[0],
        )


def many(served: Served, clients: ThreadPoolExecutor, number: int) -> tuple[list[float], int]:
    """Return the seconds of each film until its answer, and how often there was no room."""
    num_refused = itertools.count()

    def read(film: bytes) -> float:
        begun = time.perf_counter()
        while True:
            try:
                _, status = served.post(film)
            except httpx.TransportError:  # its place was taken by one of the idle ones
                status = 503
            if status != 503:
                assert status in (200, 422), status
                return time.perf_counter() - begun
            next(num_refused)
            time.sleep(1)

    wanted = [served.dice.choice(served.films) for _ in range(number)]
    return list(clients.map(read, wanted)), next(num_refused)


class Attack:
    """One hostile request of a kind, in turn; counts how it was answered."""

    def __init__(self, served: Served, films: list[bytes], answers: Counter[str]) -> None:
        self._served, self._films, self._answers = served, films, answers
        self._dice, self._lock = random.Random(2), threading.Lock()
        crafted = {
            "TIFF of 20,000 directories": many_directories(),
            "JPEG of 20,000 scans": many_scans(),
            "PNG of 10 gigapixels": huge_header(),
            "41 MB": bytes(MAX_BYTES + 1_000_000),
        }
        posts = {name: lambda data=data: served.post(data)[1] for name, data in crafted.items()}
        self._kinds = itertools.cycle({"broken": self._broken, "slow": self._slow, **posts}.items())

    def __call__(self) -> None:
        with self._lock:
            name, send = next(self._kinds)
        try:
            answer = str(send())
        except (httpx.TransportError, OSError):
            answer = "connection ended"
        with self._lock:
            self._answers[f"{name}: {answer}"] += 1

    def _broken(self) -> int:
        data = bytearray(self._dice.choice(self._films))
        for _ in range(20):
            data[self._dice.randrange(len(data))] = self._dice.randrange(256)
        return self._served.post(bytes(data[: self._dice.randrange(1, len(data))]))[1]

    def _slow(self) -> str:
        """A body of which a byte comes each second."""
        with socket.create_connection(self._served.address, timeout=60) as client:
            client.sendall(SLOW)
            for _ in range(60):
                client.sendall(b"x")
                client.settimeout(1)
                try:
                    return client.recv(64)[9:12].decode() or "connection ended"
                except TimeoutError:
                    continue
        return "kept for a minute"


def hold_connections(address: tuple[str, int], stop: threading.Event) -> None:
    """Keep half-requests open; the oldest, which the server may have ended, is made again."""
    idle = [half(address) for _ in range(NUM_IDLE)]
    while not stop.wait(0.02):
        idle.pop(0).close()
        idle.append(half(address))
    for client in idle:
        client.close()


def half(address: tuple[str, int]) -> socket.socket:
    client = socket.create_connection(address, timeout=60)
    client.sendall(HALF)
    return client


def many_directories() -> bytes:
    """A TIFF whose directory stands in the file again and again."""
    buffer = io.BytesIO()
    Image.new("L", (40, 40)).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    (first,) = struct.unpack_from("<I", data, 4)
    (num_entries,) = struct.unpack_from("<H", data, first)
    length = 2 + 12 * num_entries
    directory, place = bytes(data[first : first + length]), first + length
    for _ in range(20_000):
        struct.pack_into("<I", data, place, len(data))
        data += directory + bytes(4)
        place = len(data) - 4
    return bytes(data)


def many_scans() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 20_000 + data[-2:]


def huge_header() -> bytes:
    """A PNG of few bytes that says it has 100,000 x 100,000 pixels."""
    buffer = io.BytesIO()
    Image.new("L", (40, 40)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    struct.pack_into(">II", data, 16, 100_000, 100_000)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    return bytes(data)


if __name__ == "__main__":
    main()
