"""How fast `pneumo serve` answers, and whether it stays as small as it was.

    python benchmarks/serving.py BUNDLE FILMS [--requests 5000] [--against PNEUMO BUNDLE]

BUNDLE is the folder of a bundle, FILMS a folder of films. One client alone, then sixteen at once,
on loopback; the clients run on the same cores. PNEUMO is the command of another version, with the
same model as a bundle of its own; the two take turns, and the other's figures have no limits.
Beside the times on the clock, which other work makes longer, is the processor's time of the server.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil

PNEUMO = Path(sys.executable).with_name("pneumo")
NUM_ALONE, NUM_CLIENTS, BLOCK = 200, 16, 500
MAX_FIRST_S, MAX_P95_MS, MIN_IMAGES_PER_S, MAX_MB, MAX_GROWTH_MB = 3, 250, 15, 600, 20
MAX_P95_RATIO, MIN_RATE_RATIO = 0.6, 1.8


class Served:
    """A service with what was measured of it."""

    def __init__(self, server: subprocess.Popen[bytes], port: int, films: list[bytes]) -> None:
        self.process, self.films = psutil.Process(server.pid), films
        self.address = ("127.0.0.1", port)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120)
        self.dice = random.Random(1)
        self.alone_s: list[float] = []
        self.statuses: list[int] = []
        self.many_cpu_s = self.many_s = 0.0
        self.memory_mb: list[float] = []  # after each block of requests

    def post(self, film: bytes) -> tuple[float, int]:
        begun = time.perf_counter()
        status = self.client.post("/v1/predict", files={"file": film}).status_code
        return time.perf_counter() - begun, status

    def await_first_answer(self, begun: float) -> None:
        while True:
            try:
                self.post(self.films[0])
                break
            except httpx.TransportError:
                time.sleep(0.05)
        self.first_s = time.perf_counter() - begun
        for film in self.films[:20]:
            self.post(film)

    def alone(self, num_requests: int) -> None:
        self.alone_s += [self.post(self.dice.choice(self.films))[0] for _ in range(num_requests)]

    def many(self, clients: ThreadPoolExecutor, num_requests: int) -> None:
        wanted = [self.dice.choice(self.films) for _ in range(num_requests)]
        busy, begun = sum(self.process.cpu_times()[:2]), time.perf_counter()
        self.statuses += [status for _, status in clients.map(self.post, wanted)]
        self.many_s += time.perf_counter() - begun
        self.many_cpu_s += sum(self.process.cpu_times()[:2]) - busy
        self.note_memory()

    def note_memory(self) -> None:
        self.memory_mb.append(self.process.memory_info().rss / 1e6)

    @property
    def p95_ms(self) -> float:
        return float(1e3 * np.percentile(self.alone_s, 95))

    @property
    def rate(self) -> float:
        return len(self.statuses) / self.many_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("films", type=Path)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--against", type=Path, nargs=2, metavar=("PNEUMO", "BUNDLE"))
    asked = parser.parse_args()
    films = read_films(asked.films)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {len(films)} films")
    sides = [(PNEUMO, asked.bundle), *([asked.against] if asked.against else [])]
    with ExitStack() as stack:
        both = [stack.enter_context(serving(*side, films)) for side in sides]
        for _ in range(4):
            for each in both:
                each.alone(NUM_ALONE // 4)
        with ThreadPoolExecutor(NUM_CLIENTS) as clients:
            block = min(BLOCK, asked.requests // 2)  # two or more, to see the memory grow
            for _ in range(0, asked.requests, block):
                for each in both:
                    each.many(clients, block)
    show(both[0])
    if asked.against:
        show_other(*both)


def read_films(folder: Path) -> list[bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.read_bytes() for path in random.Random(0).sample(paths, min(200, len(paths)))]


@contextmanager
def serving(command: Path, bundle: Path, films: list[bytes]) -> Iterator[Served]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [command, "serve", "--port", str(port), "--bundle", bundle.resolve()]
    environment = dict(os.environ)
    if command != PNEUMO:
        environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        server = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL, env=environment)
        try:
            served = Served(server, port, films)
            served.await_first_answer(begun)
            yield served
        finally:
            server.terminate()
            server.wait()


def show(found: Served) -> None:
    say(f"first answer {found.first_s:.1f} s after the start", found.first_s <= MAX_FIRST_S)
    say(
        f"one client: median {1e3 * np.median(found.alone_s):.0f} ms, p95 {found.p95_ms:.0f} ms",
        found.p95_ms <= MAX_P95_MS,
    )
    num_requests = len(found.statuses)
    say(
        f"{NUM_CLIENTS} clients: {found.rate:.1f} images/s, "
        f"{1e3 * found.many_cpu_s / num_requests:.0f} ms of the processor a film",
        found.rate >= MIN_IMAGES_PER_S,
    )
    faults = sum(status >= 500 for status in found.statuses)
    refused = found.statuses.count(422)
    say(f"{num_requests} requests: {faults} errors, {refused} films refused", faults == 0)
    say_memory(found, found.memory_mb[-1] <= MAX_MB)


def say_memory(found: Served, small: bool = True) -> None:
    settled, *later = found.memory_mb
    grown = [mb - settled for mb in later]
    say(
        f"memory {settled:.0f} MB, then {', '.join(f'{mb:+.0f}' for mb in grown)} MB",
        small and max(grown) <= MAX_GROWTH_MB,
    )


def show_other(ours: Served, other: Served) -> None:
    first, *_, last = other.memory_mb
    print(f"the other: first answer {other.first_s:.1f} s, p95 {other.p95_ms:.0f} ms, ", end="")
    print(f"{other.rate:.1f} images/s, memory {first:.0f} to {last:.0f} MB")
    ratio = ours.p95_ms / other.p95_ms
    say(f"p95 of one client {ratio:.2f} times", ratio <= MAX_P95_RATIO)
    say(
        f"images a second {ours.rate / other.rate:.2f} times, by the processor's time "
        f"{other.many_cpu_s / ours.many_cpu_s:.2f} times",
        ours.rate >= MIN_RATE_RATIO * other.rate,
    )


def say(what: str, holds: bool) -> None:
    print(f"{what}: {'ok' if holds else 'NOT MET'}")


if __name__ == "__main__":
    main()
