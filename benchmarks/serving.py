"""How fast `pneumo serve` answers, and whether it stays as small as it was.

    python benchmarks/serving.py BUNDLE FILMS [--requests 5000]

BUNDLE is the folder of a bundle, FILMS a folder of films. One client alone, then sixteen at once,
on loopback; the clients run on the same cores. Prints the load of the machine before and the
processor's time of the server beside the times on the clock, which other work makes longer.
"""

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil

NUM_ALONE, NUM_CLIENTS, NUM_SETTLING = 200, 16, 500
MAX_P95_MS, MIN_IMAGES_PER_S, MAX_GROWTH_MB = 250, 15, 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("films", type=Path)
    parser.add_argument("--requests", type=int, default=5000)
    asked = parser.parse_args()
    paths = sorted(path for path in asked.films.rglob("*") if path.is_file())
    films = [path.read_bytes() for path in random.Random(0).sample(paths, min(200, len(paths)))]
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {len(films)} films")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("pneumo")), "serve", "--port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [*command, "--bundle", asked.bundle.resolve()], cwd=folder, stdout=subprocess.DEVNULL
        )
        try:
            measure(f"http://127.0.0.1:{port}", films, asked.requests, psutil.Process(server.pid))
        finally:
            server.terminate()
            server.wait()


def measure(address: str, films: list[bytes], num_requests: int, server: psutil.Process) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        wait_until_ready(client)

        def post(film: bytes) -> tuple[float, int]:
            begun = time.perf_counter()
            status = client.post("/v1/predict", files={"file": film}).status_code
            return time.perf_counter() - begun, status

        dice = random.Random(1)
        for film in films[:20]:
            post(film)
        busy = cpu_s(server)
        alone = [post(dice.choice(films)) for _ in range(NUM_ALONE)]
        times_ms = 1e3 * np.array([seconds for seconds, _ in alone])
        p50, p95 = np.percentile(times_ms, [50, 95])
        each_ms = 1e3 * (cpu_s(server) - busy) / NUM_ALONE
        say(f"one client: median {p50:.0f} ms, p95 {p95:.0f} ms", p95 <= MAX_P95_MS)
        print(f"  {each_ms:.0f} ms of the processor a film")

        with ThreadPoolExecutor(NUM_CLIENTS) as clients:
            list(clients.map(post, (dice.choice(films) for _ in range(NUM_SETTLING))))
            settled_mb = memory_mb(server)
            busy, begun = cpu_s(server), time.perf_counter()
            wanted = [dice.choice(films) for _ in range(num_requests)]
            answers, grown = [], []
            for start in range(0, num_requests, NUM_SETTLING):
                answers += clients.map(post, wanted[start : start + NUM_SETTLING])
                grown.append(memory_mb(server) - settled_mb)
        rate = num_requests / (time.perf_counter() - begun)
        each_ms = 1e3 * (cpu_s(server) - busy) / num_requests
        p95 = np.percentile([1e3 * seconds for seconds, _ in answers], 95)
        faults = sum(status >= 500 for _, status in answers)
        refused = sum(status == 422 for _, status in answers)
        say(f"{NUM_CLIENTS} clients: {rate:.1f} images/s", rate >= MIN_IMAGES_PER_S)
        print(f"  p95 {p95:.0f} ms, {each_ms:.0f} ms of the processor a film")
        say(f"{num_requests} requests: {faults} errors, {refused} films refused", faults == 0)
        shown = ", ".join(f"{mb:+.0f}" for mb in grown)
        say(f"memory {settled_mb:.0f} MB, then {shown} MB", grown[-1] <= MAX_GROWTH_MB)


def wait_until_ready(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError("the server did not start")


def cpu_s(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


def memory_mb(server: psutil.Process) -> float:
    return float(server.memory_info().rss) / 1e6


def say(what: str, holds: bool) -> None:
    print(f"{what}: {'ok' if holds else 'NOT MET'}")


if __name__ == "__main__":
    main()
