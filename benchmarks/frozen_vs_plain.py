"""Training what is frozen once, against a plain loop that runs it in every epoch.

    python benchmarks/frozen_vs_plain.py SOURCE [--films N]

SOURCE is a folder or zip in the Kaggle layout; films of train are shuffled, a tenth is validation.
The first table is of time: pneumo's whole training with validation, beside the plain loop (JPEGs,
DataLoader, float32), of which one epoch is timed and multiplied. The second is of truth: the same
training without the cache, all in torch, and how far apart its validation probabilities are.
"""

import argparse
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from itertools import accumulate, takewhile
from pathlib import Path
from unittest import mock

import numpy as np
from scipy.special import expit

from pneumo_core import params
from pneumo_core.data.images import decode
from pneumo_core.data.packed import PackedImages, packing
from pneumo_core.evaluation.scoring import predict
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.experiments.plain_loop import Job, plain_steps
from pneumo_core.labels import LABELS
from pneumo_core.models.compute import choose_device
from pneumo_core.params import IngestParams, Strategy, StrategyParams
from pneumo_core.sources.source import SourceFile
from pneumo_core.training import batches
from pneumo_core.training.context import Cell
from pneumo_core.training.events import Cached, Event
from pneumo_core.training.training import LabelledFilms, train
from tasks.stores.sources import open_source

MODEL = "tf_efficientnet_lite0"
SIZE_PX, BATCH_SIZE, MAX_PIXELS, VAL_SHARE = 224, 32, 10**8, 0.1
CELLS = {Strategy.FROZEN: (1e-3, 10), Strategy.PARTIAL: (3e-4, 3)}  # rate and epochs
PARAMS = params.load(Path(__file__).parent.parent / "params.yaml").train.model_copy(
    update={"batch_size": BATCH_SIZE}
    | {strategy.value: StrategyParams(lr=lr, epochs=n) for strategy, (lr, n) in CELLS.items()}
)


def choose(source: str, count: int) -> list[SourceFile]:
    files = [f for f in open_source(IngestParams(source=source)).files() if f.split == "train"]
    order = np.random.default_rng(0).permutation(len(files))
    return [files[row] for row in order[:count]]


def pack(files: list[SourceFile], folder: Path) -> LabelledFilms:
    with packing(folder, SIZE_PX, "benchmark") as packer:
        for number, file in enumerate(files):
            film = decode(file.read(), MAX_PIXELS, size_px=SIZE_PX)
            packer.add(f"{number:064x}"[::-1], film.squared(SIZE_PX))
    labels = np.array([LABELS.index(file.label) for file in files])
    return LabelledFilms(PackedImages.open(folder), labels)


def write_jpegs(files: list[SourceFile], folder: Path) -> None:
    for number, file in enumerate(files):
        path = folder / file.label / f"{number}.jpeg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())


def seconds_of_plain_epoch(job: Job, num_films: int) -> float:
    steps = plain_steps(job, choose_device("auto").torch_device)
    begun = time.perf_counter()
    for _ in takewhile(lambda done: done < num_films, accumulate(steps)):
        pass
    return time.perf_counter() - begun


def trained(
    strategy: Strategy, films: LabelledFilms, val: LabelledFilms, cached: bool
) -> tuple[float, np.ndarray]:
    """(seconds from weights to the last epoch, validation probabilities in float32)."""
    events: list[Event] = []
    uncut: AbstractContextManager[object] = mock.patch.object(batches, "cut", return_value=None)
    settings = PARAMS.model_copy(update={"precision": "float32"})
    with tempfile.TemporaryDirectory() as scratch, nullcontext() if cached else uncut:
        begun = time.perf_counter()
        cell = Cell(MODEL, strategy)
        found = train(cell, films, val, settings, Path(scratch), events.append)
        seconds = time.perf_counter() - begun
    assert cached == any(isinstance(event, Cached) for event in events)
    return seconds, expit(predict(TorchEngine(found.model, found.normalisation), val.images)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--films", type=int, default=10**9)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = choose(asked.source, asked.films)
        of_val = round(VAL_SHARE * len(files))
        begun = time.perf_counter()
        films = pack(files[of_val:], folder / "train")
        packing_s = time.perf_counter() - begun
        val = pack(files[:of_val], folder / "val")
        write_jpegs(files[of_val:], folder / "jpeg")
        num_films = len(films.labels)
        print(f"{MODEL}, {num_films} films at {SIZE_PX} px, {of_val} for validation")
        print(f"packing, once for all trainings: {packing_s:.1f} s")
        print(f"{'strategy':9} {'epochs':>6} {'pneumo s':>9} {'plain s':>8} {'ratio':>6}", end="")
        print(f" {'with packing':>13} {'uncached s':>11} {'apart by':>9}")
        for strategy, (lr, epochs) in CELLS.items():
            job = Job(folder / "jpeg", MODEL, strategy, SIZE_PX, BATCH_SIZE, lr)
            ours, first = trained(strategy, films, val, cached=True)
            plain = epochs * seconds_of_plain_epoch(job, num_films)
            uncached_s, second = trained(strategy, films, val, cached=False)
            print(
                f"{strategy:9} {epochs:6} {ours:9.1f} {plain:8.1f} {plain / ours:6.1f}"
                f" {plain / (ours + packing_s):13.1f} {uncached_s:11.1f}"
                f" {np.abs(first - second).max():9.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
