"""Small films, files, manifests and parameters for the tests of the core."""

import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from pneumo_core.arrays import Gray
from pneumo_core.data import manifest
from pneumo_core.labels import LABELS
from pneumo_core.metrics.metrics import Scores
from pneumo_core.models.bundle import (
    Description,
    Normalisation,
    OperatingPoint,
    PretrainedWeights,
    TrainingRecord,
)
from pneumo_core.params import Params, Strategy, TrainParams, load, parse
from pneumo_core.sources.patients import kermany, unknown
from pneumo_core.training.training import LabelledFilms

ROOT = Path(__file__).parents[2]

CLASSES = [f"{split}/{label}" for split in ("train", "test") for label in LABELS]


@pytest.fixture(scope="session")
def film() -> Callable[..., Gray]:
    """A smooth gray picture of its own for each seed, [height, width]."""

    def draw(seed: int, height: int = 64, width: int = 64) -> Gray:
        coarse = np.random.default_rng(seed).integers(0, 256, (9, 9), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        return np.array(smooth)

    return draw


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Pixels, or a Pillow image, as the bytes of a file."""

    def to_bytes(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return to_bytes


@pytest.fixture(scope="session")
def write_tree() -> Callable[..., Path]:
    def write(root: Path, files: dict[str, bytes]) -> Path:
        for name, data in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return root

    return write


@pytest.fixture(scope="session")
def write_zip() -> Callable[..., Path]:
    def write(path: Path, members: dict[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path

    return write


@pytest.fixture(scope="session")
def one_of_each() -> dict[str, bytes]:
    """The smallest complete source: one file for each class of train and test."""
    return {f"{place}/a.jpeg": place.encode() for place in CLASSES}


@pytest.fixture(scope="session")
def make_table() -> Callable[..., pd.DataFrame]:
    """A manifest of kept rows; a row is its `image_id`, or a dict with more columns."""

    def make(rows: Iterable[str | dict[str, object]]) -> pd.DataFrame:
        return pd.DataFrame([_row(i, row) for i, row in enumerate(rows)])

    return make


def _row(index: int, given: str | dict[str, object]) -> dict[str, object]:
    given = {"image_id": given} if isinstance(given, str) else given
    split, label, name = str(given["image_id"]).split("/")
    patient = kermany(name) or unknown(name)
    return {
        "path": given["image_id"],
        "origin": "test",
        "source_split": split,
        "split": split,
        "label": label,
        "subtype": patient.subtype,
        "patient_key": patient.key,
        "patient_group": patient.group,
        "patient_rule": patient.rule,
        "file_bytes": 1000,
        "pixel_sha256": f"{index:064x}",
        "packed_row": index,
        "state": manifest.KEPT,
        "reason": None,
        "duplicate_of": None,
    } | given


@pytest.fixture(scope="session")
def make_scores() -> Callable[..., Scores]:
    """Make scores from labels and probabilities; without keys each film is a patient of its own."""

    def make(labels: Any, probabilities: Any, keys: Any = None) -> Scores:
        labels = np.asarray(labels, np.int64)
        keys = np.arange(len(labels)) if keys is None else keys
        probabilities = np.asarray(probabilities, np.float64)
        return Scores(labels, probabilities, np.asarray(keys).astype(np.str_))

    return make


@pytest.fixture(scope="session")
def random_scores(make_scores: Callable[..., Scores]) -> Callable[..., Scores]:
    """A set of 8 to 80 films, at least two patients a class; every second one with ties."""

    def draw(seed: int, apart: bool = False) -> Scores:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, rng.integers(8, 80))
        labels[:4] = 0, 0, 1, 1
        probabilities = np.clip(rng.normal(0.4 + 0.2 * labels, 0.3), 0, 1)
        if seed % 2:
            probabilities = probabilities.round(1)
        keys = np.arange(len(labels)) if apart else rng.integers(4, len(labels), len(labels))
        keys[:4] = range(4)
        return make_scores(labels, probabilities, keys)

    return draw


@pytest.fixture(scope="session")
def default_params() -> Params:
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def params_with() -> Callable[..., Params]:
    """The project's parameters with some values changed: `params_with(split={"seed": 1})`."""

    def change(**sections: dict[str, object]) -> Params:
        content = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
        for section, values in sections.items():
            content[section] |= values
        return parse(content, "a test")

    return change


@pytest.fixture(scope="session")
def description() -> Description:
    """Description of an untrained model for films of 64 px."""
    return Description(
        name="test_efficientnet-full",
        architecture="test_efficientnet",
        strategy="full",
        image_size_px=64,
        normalisation=Normalisation(0.5, 0.25),
        origin=TrainingRecord(
            data_sha256="d" * 64,
            train_sha256="e" * 64,
            code_version="1",
            params={"seed": 0, "models": ["한글"]},
            pretrained=PretrainedWeights("none", "random start", None),
        ),
        slope=0.8,
        intercept=0.1,
        operating_points={"reading_aid": OperatingPoint(0.4, 0.3, 0.5)},
    )


@pytest.fixture(scope="session")
def films(film: Callable[..., Gray]) -> LabelledFilms:
    """24 films of 64 px; the positive ones have a bright patch."""
    labels = np.arange(24) % 2
    images = np.stack([film(seed) // 2 for seed in range(24)])
    images[labels == 1, 20:44, 20:44] += 100
    return LabelledFilms(images, labels)


@pytest.fixture(scope="session")
def val_films(film: Callable[..., Gray]) -> LabelledFilms:
    images = np.stack([film(seed) for seed in range(100, 108)])
    return LabelledFilms(images, np.arange(8) % 2)


@pytest.fixture(scope="session")
def settings(params_with: Callable[..., Params]) -> Callable[..., TrainParams]:
    """Parameters of a training of seconds, all strategies with one rate and number of epochs."""

    def choose(lr: float = 1e-3, epochs: int = 4, **others: object) -> TrainParams:
        each = {"lr": lr, "epochs": epochs}
        small = {"weights": "none", "precision": "float32", "batch_size": 8}
        strategies = {strategy.value: each for strategy in Strategy}
        return params_with(train=strategies | small | others).train

    return choose
