"""Findings as a pipeline gives them, of drawn predictions: nothing is trained."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch

from pneumo_core.arrays import Images
from pneumo_core.audit.robustness import CURVES
from pneumo_core.audit.shortcuts import Check
from pneumo_core.data.manifest import DUPLICATE, KEPT, QUARANTINED, kept
from pneumo_core.evaluation.corruptions import CORRUPTIONS
from pneumo_core.evaluation.evaluation import as_scores, write_evaluation
from pneumo_core.evaluation.operating_point import choose_operating_points
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.labels import LABELS
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.models import committee
from pneumo_core.models.bundle import Description, Normalisation, PretrainedWeights, TrainingRecord
from pneumo_core.params import EvaluateParams, ReportParams
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import Duplicates
from pneumo_core.report import files
from pneumo_core.report.document import Pictures
from pneumo_core.report.film_figures import TrainingFilms, measure
from pneumo_core.report.findings import CellFindings, DataFindings, Findings
from pneumo_core.report.sections.cases import show_cases

SIDE_PX = 64
HOSTILE = "<script>alert('1')</script>&$x_1$|\"'"
PARAMS = ReportParams(num_saliency_films=4, num_worst_films=2, seed=0)
EVALUATE = EvaluateParams(num_draws=100)
MODELS = ("efficientnet_b0", "densenet121", "convnext_tiny", "resnet50")
STRATEGIES = ("frozen", "partial", "full")


def film(number: int, split: str, label: str) -> dict[str, Any]:
    name = f"{split}/{label}/{number}.jpeg"
    row: dict[str, Any] = {"image_id": name, "path": name, "origin": "zip", "label": label}
    row |= {"source_split": split, "split": split, "patient_key": str(number)}
    positive = label == "PNEUMONIA"
    row["subtype"] = ("virus" if number % 3 else "bacteria") if positive else None
    row |= {"packed_row": number, "patient_group": str(number), "patient_rule": "column"}
    row |= {"sha256": f"{number:064x}"}
    row |= {"width_px": 200 + number % 50, "height_px": 150 + number % 40, "colour_mode": "L"}
    row |= {"mean": 100.0 + number % 17, "std": 50.0 + number % 13}
    return row | {"state": KEPT, "reason": None}


def make_table(num_train: int, num_val: int, num_test: int) -> pd.DataFrame:
    """So many films of each class; those of val came from train."""
    rows: list[dict[str, Any]] = []
    for label in LABELS:
        rows += [film(len(rows) + i, "train", label) for i in range(num_train)]
        rows += [film(len(rows) + i, "train", label) | {"split": "val"} for i in range(num_val)]
        rows += [film(len(rows) + i, "test", label) for i in range(num_test)]
    rows[0] |= {"state": DUPLICATE, "reason": "same pixels"}
    rows[1] |= {"state": QUARANTINED, "reason": HOSTILE, "packed_row": None}
    return pd.DataFrame(rows).astype({"packed_row": "Int64"})


def describe(name: str, architecture: str = "resnet10t", strategy: str = "full") -> Description:
    origin = TrainingRecord(
        data_sha256="d" * 64,
        train_sha256="e" * 64,
        code_version="9.8.7",
        params={"lr": 0.00125, "class_weights": [1.0, 1.5]},
        pretrained=PretrainedWeights("hub", "timm hub: https://example.org/weights", "f" * 64),
    )
    return Description(
        name=name,
        architecture=architecture,
        strategy=strategy,
        image_size_px=SIDE_PX,
        normalisation=Normalisation(0.5, 0.25),
        origin=origin,
        slope=0.8,
        intercept=0.1,
        calibration_prevalence=0.5,
        operating_points={},
    )


def predictions_of(films: pd.DataFrame, skill: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    positive = (films["label"] == "PNEUMONIA").to_numpy(float)
    logits = rng.normal(size=len(films)) + skill * (2 * positive - 1)
    return films.assign(logit=logits, probability=1 / (1 + np.exp(-2 * logits)))


def make_cell(
    description: Description, table: pd.DataFrame, folder: Path, skill: float, seed: int
) -> CellFindings:
    predictions = {
        split: predictions_of(kept(table, split), skill, seed + number)
        for number, split in enumerate(("val", "test"))
    }
    points = choose_operating_points(as_scores(predictions["val"]), EVALUATE)
    description = description.model_copy(update={"operating_points": points})
    metrics = {
        split: write_evaluation(folder, each, description, split, EVALUATE)
        for split, each in predictions.items()
    }
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.7, 0.5], "val_loss": [0.8, 0.6]})
    return CellFindings(
        description, metrics["test"], predictions["test"], metrics["val"], metrics["val"], history
    )


def make_robustness() -> dict[str, Any]:
    def point(value: float) -> dict[str, Any]:
        figure = {"value": value, "ci_low": value - 0.05, "ci_high": min(1.0, value + 0.05)}
        return dict.fromkeys(CURVES, figure)

    return {
        "n": 40,
        "n_positive": 20,
        "threshold": 0.5,
        "clean": point(0.95),
        "corruptions": {
            name: {
                "parameter": corruption.parameter,
                "by_severity": list(corruption.by_severity),
                "figures": [point(0.9 - 0.02 * (place + s) / 3) for s in range(5)],
            }
            for place, (name, corruption) in enumerate(CORRUPTIONS.items())
        },
    }


def make_saliency(passed: bool = True) -> dict[str, Any]:
    similarity = {"value": 0.1, "ci_low": 0.0, "ci_high": 0.2}
    return {
        "n": 40,
        "num_lit": 40,
        "similarity": {"classifier": similarity, "all": similarity},
        "max_similarity": 0.5,
        "passed": passed,
        "places": {
            "border": {"value": 0.3, "ci_low": 0.25, "ci_high": 0.35, "area": 0.36},
            "corners": {"value": 0.1, "ci_low": 0.05, "ci_high": 0.15, "area": 0.16},
        },
    }


def make_occlusion() -> dict[str, Any]:
    auroc = {"value": 0.8, "ci_low": 0.7, "ci_high": 0.9}
    loss = {"value": 0.1, "ci_low": 0.05, "ci_high": 0.15}
    regions = ("lungs", "all_but_lungs", "heart", "border")
    return {
        "n": 40,
        "n_positive": 20,
        "unaltered": auroc,
        "regions": {name: {"area": 0.25, "auroc": auroc, "loss": loss} for name in regions},
        "lungs_over_rest": loss,
        "reads_lungs": True,
    }


def make_audit(cells: list[str], beyond: str) -> dict[str, Any]:
    """`beyond`: the cell whose films flip too often."""
    shifts = {f"{shift:+.2f}": make_robustness()["clean"] for shift in (-0.1, 0.0, 0.1)}

    def check(value: float) -> list[dict[str, Any]]:
        figure = Estimate(value, value - 0.01, value + 0.01)
        found = Check("flip_rate", "model", "flips", 0.1, figure, unit="%")
        return [found.as_dict() | {"detail": {"figures": shifts}}]

    audit: dict[str, Any] = {
        "lint": {
            "label_dependent": {"brightness": {"NORMAL": [0, 0.1], "PNEUMONIA": [-0.1, 0]}},
            "warnings": ["brightness depends on the label."],
        }
    }
    audit |= {"data": [], "augmentation": []}
    return audit | {cell: check(0.31 if cell == beyond else 0.02) for cell in cells}


@dataclass(frozen=True)
class Made:
    found: Findings
    pictures: Pictures
    scorer: Scorer


def _make_findings(
    folder: Path, num_test: int, cells: list[tuple[str, str, str]], hostile: str = ""
) -> tuple[Findings, Images]:
    """Cells as (name, architecture, strategy), best first."""
    table = make_table(12, 40, num_test)
    table["image_id"] = table["image_id"].where(
        table["split"] != "test", table["image_id"] + hostile
    )
    images = np.random.default_rng(0).integers(0, 256, (len(table), SIDE_PX, SIDE_PX), np.uint8)
    made = tuple(
        make_cell(describe(*cell), table, folder, 1.4 - 0.05 * place, 10 * place)
        for place, cell in enumerate(cells)
    )
    data = DataFindings(
        "films.zip",
        table,
        images,
        {"NORMAL": 777, "PNEUMONIA": 778},
        certify(table, Duplicates([], [], [], [])),
    )
    names = [name for name, *_ in cells]
    return Findings(
        data=data,
        cells=made,
        provenance={"source": "films.zip", "git_commit": "abc123"},
        tied=frozenset(names[:2]),
        recipe="symmetric",
        audit=make_audit(names, beyond=names[0]),
        robustness=make_robustness(),
        saliency=make_saliency(),
        occlusion=make_occlusion(),
    ), images


def _make_pictures(found: Findings, images: Images, scorer: Scorer) -> Pictures:
    films = kept(found.data.table, "train")
    augmented = films[["image_id", "label"]].assign(number=1)
    augmented_images = images[films["packed_row"].to_numpy(np.int64)]
    train = TrainingFilms(films, images, augmented, augmented_images)
    return Pictures(show_cases(found, scorer, PARAMS), measure(train, 0))


def _make(folder: Path, num_test: int, cells: list[tuple[str, str, str]], hostile: str) -> Made:
    found, images = _make_findings(folder, num_test, cells, hostile)
    torch.manual_seed(0)
    model, described = timm.create_model("resnet10t", num_classes=2), found.winner.description
    scorer = Scorer(TorchEngine(model, described.normalisation), described)
    return Made(found, _make_pictures(found, images, scorer), scorer)


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two models, names and films with what would break a page."""
    cells = [(f"first{HOSTILE}", "resnet10t", "full"), ("second", "resnet10t", "frozen")]
    return _make(tmp_path_factory.mktemp("two"), 30, cells, HOSTILE)


@pytest.fixture(scope="session")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The study's twelve cells on 618 films."""
    cells = [(f"{model}-{s}", model, s) for model in MODELS for s in STRATEGIES]
    return _make(tmp_path_factory.mktemp("twelve"), 309, cells, "")


@pytest.fixture(scope="session")
def led_by_committee(twelve: Made) -> Findings:
    """The same led by the committee of the first two."""
    first = twelve.found.winner
    members = tuple(cell.description for cell in twelve.found.cells[:2])
    named = dict.fromkeys(("name", "architecture", "strategy"), committee.NAME)
    description = first.description.model_copy(update=named | {"members": members})
    leader = replace(first, description=description, history=None)
    audit = {**(twelve.found.audit or {}), committee.NAME: []}
    return replace(twelve.found, cells=(leader, *twelve.found.cells), audit=audit)


@pytest.fixture(scope="session")
def written(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of `made`."""
    folder = tmp_path_factory.mktemp("written")
    files.write(folder, made.found, made.pictures)
    return folder
