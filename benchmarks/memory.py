"""Peak memory of a training at the study's size, on the CPU.

    python benchmarks/memory.py [--films 11700] [--size 512] [--strategy frozen]

Films are noise of the size asked for, packed as the pipeline packs them; one epoch is trained. What
is mapped from disk counts while it is mapped, though the kernel takes it back when it needs it, so
the process's own memory stands beside it.
"""

import argparse
import resource
import tempfile
import threading
from pathlib import Path

import numpy as np

from pneumo_core import params
from pneumo_core.data.packed import PackedImages, packing
from pneumo_core.params import Strategy, StrategyParams
from pneumo_core.training.context import Cell
from pneumo_core.training.training import LabelledFilms, train

NUM_VAL = 64


def pack(folder: Path, count: int, size_px: int) -> PackedImages:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (size_px, size_px), dtype=np.uint8)
    with packing(folder, size_px, "noise") as packer:
        for number in range(count):
            packer.add(rng.bytes(32).hex(), np.roll(noise, number * 997))
    return PackedImages.open(folder)


def watch_own_memory(found: list[int], ended: threading.Event) -> None:
    while not ended.wait(0.2):
        (line,) = (
            line
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("RssAnon")
        )
        found.append(int(line.split()[1]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--films", type=int, default=11_700)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--strategy", type=Strategy, default=Strategy.FROZEN)
    asked = parser.parse_args()
    base = params.load(Path(__file__).parent.parent / "params.yaml").train
    once = {asked.strategy.value: StrategyParams(lr=1e-4, epochs=1)}
    settings = base.model_copy(update=once | {"batch_size": 16, "feature_cache_gb": 50})
    with tempfile.TemporaryDirectory() as scratch:
        images = pack(Path(scratch) / "films", asked.films, asked.size)
        films = LabelledFilms(images, np.arange(asked.films) % 2)
        val = LabelledFilms(images[np.arange(NUM_VAL)], np.arange(NUM_VAL) % 2)
        found, ended = list[int](), threading.Event()
        watcher = threading.Thread(target=watch_own_memory, args=(found, ended))
        watcher.start()
        cell = Cell(base.models[0], asked.strategy)
        train(cell, films, val, settings, Path(scratch), lambda _: None)
        ended.set()
        watcher.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{cell.name}, {asked.films} films at {asked.size} px, one epoch:")
    print(f"peak with what is mapped {peak / 1e6:.2f} GB, of its own {max(found) / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
