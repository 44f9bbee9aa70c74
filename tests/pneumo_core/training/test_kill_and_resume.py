"""A training that is killed and run again ends with the weights of one that was not killed."""

import hashlib
import multiprocessing
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pneumo_core import params
from pneumo_core.atomic import replacing_folder
from pneumo_core.models import bundled_model
from pneumo_core.params import Strategy, TrainParams
from pneumo_core.training import context, epochs
from pneumo_core.training.context import Cell
from pneumo_core.training.training import LabelledFilms, train

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
CELL = Cell("test_efficientnet", Strategy.FULL)
SETTINGS = TrainParams.model_validate(
    params.load(ROOT / "params.yaml").train.model_dump(mode="json")
    | {"weights": "none", "precision": "float32", "batch_size": 8}
    | {"full": {"lr": 1e-3, "epochs": 6}}
)

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([train.__module__])  # so torch is loaded once


def run_stage(folder: Path) -> None:
    """As the stage `train` does, with random layers and checkpoints within the epochs.

    Marks in the folder how far it is: training, trained.
    """
    torch.set_num_threads(1)  # OpenMP does not survive a fork
    epochs.SAVE_EVERY_S = 0.1
    create_model = context.create_model

    def create_drawing_model(*arguments: Any) -> Any:
        model, provenance = create_model(*arguments)
        model.drop_rate = 0.5
        return model, provenance

    context.create_model = create_drawing_model
    folder.mkdir(exist_ok=True)
    (folder / "training").touch()
    trained = train(CELL, films(0, 96), films(1, 16), SETTINGS, folder / "var", lambda _: None)
    (folder / "trained").touch()
    with replacing_folder(folder / "results") as draft:
        bundled_model.write_weights(trained.model, draft / "weights.safetensors")
    trained.checkpoint.forget()


def films(seed: int, num_films: int) -> LabelledFilms:
    images = np.random.default_rng(seed).integers(0, 256, (num_films, 64, 64), dtype=np.uint8)
    labels = np.arange(num_films) % 2
    images[labels == 1, 16:48, 16:48] //= 2
    return LabelledFilms(images, labels)


def run_to_the_end(folder: Path) -> tuple[str, float]:
    """SHA-256 of its weights, and the seconds since it began to train."""
    process = FORKS.Process(target=run_stage, args=(folder,))
    begun = start(process, folder / "training")
    process.join()
    assert process.exitcode == 0
    assert not list((folder / "var" / "checkpoints").iterdir())
    weights = (folder / "results" / "weights.safetensors").read_bytes()
    return hashlib.sha256(weights).hexdigest(), time.monotonic() - begun


def start(process: Any, mark: Path) -> float:
    """The time at which the mark stood there."""
    process.start()
    while process.is_alive() and not mark.exists():
        time.sleep(0.0005)
    return time.monotonic()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    return run_to_the_end(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("number", range(4))
def test_a_killed_training_ends_with_the_same_weights(
    number: int, undisturbed: tuple[str, float], tmp_path: Path
) -> None:
    """Three fall at a random moment of the training, one while its results are written."""
    expected, seconds = undisturbed
    mark, within_s = ("training", seconds) if number < 3 else ("trained", 0.03)
    after_s, folder = random.Random(number).uniform(0, within_s), tmp_path / "project"
    while not killed(folder, mark, after_s):
        shutil.rmtree(folder)
        after_s /= 2  # it was faster
    assert run_to_the_end(folder)[0] == expected


def killed(folder: Path, mark: str, after_s: float) -> bool:
    """Whether it lived to be killed, so long after its mark."""
    process = FORKS.Process(target=run_stage, args=(folder,))
    start(process, folder / mark)
    time.sleep(after_s)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL
