"""Trainings killed at random moments and run again: how many end as one that was not killed.

    python benchmarks/kill_and_resume.py [--kills 20]

Each training is a process of its own on drawn films, with random layers, checkpoints within its
epochs, and its weights written as the stage `train` does. Of four kills one falls between the end
of the training and the removal of its checkpoint.
"""

import argparse
import hashlib
import multiprocessing
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pneumo_core import params
from pneumo_core.atomic import replacing_folder
from pneumo_core.models import bundled_model
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training import context, epochs
from pneumo_core.training.context import Cell
from pneumo_core.training.training import LabelledFilms, train

ROOT = Path(__file__).parent.parent
CELL = Cell("test_efficientnet", Strategy.FULL)
SAVE_EVERY_S = 0.1

START = multiprocessing.get_context("fork").Process  # imports once, not forty times


def run_stage(folder: Path, chosen: TrainParams) -> None:
    """Marks in the folder how far it is: training, trained."""
    torch.set_num_threads(1)  # OpenMP does not survive a fork
    epochs.SAVE_EVERY_S = SAVE_EVERY_S
    create_model = context.create_model

    def create_drawing_model(*arguments: Any) -> Any:
        model, provenance = create_model(*arguments)
        model.drop_rate = 0.5
        return model, provenance

    context.create_model = create_drawing_model
    folder.mkdir(exist_ok=True)
    (folder / "training").touch()
    trained = train(CELL, films(0, 96), films(1, 16), chosen, folder / "var", lambda _: None)
    (folder / "trained").touch()
    with replacing_folder(folder / "results") as draft:
        bundled_model.write_weights(trained.model, draft / "weights.safetensors")
    trained.checkpoint.forget()


def films(seed: int, num_films: int) -> LabelledFilms:
    images = np.random.default_rng(seed).integers(0, 256, (num_films, 64, 64), dtype=np.uint8)
    labels = np.arange(num_films) % 2
    images[labels == 1, 16:48, 16:48] //= 2
    return LabelledFilms(images, labels)


def settings() -> TrainParams:
    small = {"weights": "none", "precision": "float32", "batch_size": 8}
    chosen = params.load(ROOT / "params.yaml").train.model_dump(mode="json")
    return TrainParams.model_validate(chosen | small | {"full": {"lr": 1e-3, "epochs": 6}})


def run_to_the_end(folder: Path, chosen: TrainParams) -> str:
    """SHA-256 of its weights."""
    process = START(target=run_stage, args=(folder, chosen))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit("a training failed")
    left = list((folder / "var" / "checkpoints").iterdir())
    if left:
        sys.exit(f"left behind: {left}")
    return hashlib.sha256((folder / "results" / "weights.safetensors").read_bytes()).hexdigest()


def kill(folder: Path, chosen: TrainParams, mark: str, after_s: float) -> bool:
    """Whether it lived to be killed, so long after its mark."""
    process = START(target=run_stage, args=(folder, chosen))
    process.start()
    while process.is_alive() and not (folder / mark).exists():
        time.sleep(0.0005)
    time.sleep(after_s)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    num_kills = parser.parse_args().kills
    draw, chosen = random.Random(0), settings()
    num_killed = num_same = 0
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.monotonic()
        expected = run_to_the_end(Path(scratch) / "undisturbed", chosen)
        seconds = time.monotonic() - begun
        end_s = 0.03  # about what the writing of the weights takes
        while num_killed < num_kills:
            folder = Path(scratch) / f"{num_killed}"
            at_the_end = num_killed % 4 == 3
            mark, within_s = ("trained", end_s) if at_the_end else ("training", seconds)
            if not kill(folder, chosen, mark, draw.uniform(0, within_s)):
                shutil.rmtree(folder)
                continue  # it was faster
            saved = list((folder / "var" / "checkpoints").glob("*.pt"))
            written = (folder / "results").exists()
            same = run_to_the_end(folder, chosen) == expected
            num_killed += 1
            num_same += same
            print(
                f"killed after {mark}, checkpoint {'there' if saved else 'none'}, "
                f"weights {'there' if written else 'none'}: {'same' if same else 'DIFFERENT'}",
                flush=True,
            )
    print(f"{num_same} of {num_killed} end with the same weights ({seconds:.1f} s each)")
    if num_same < num_killed:
        sys.exit(1)


if __name__ == "__main__":
    main()
