import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch

from pneumo_core.bundle import Blueprint, Description, Origin
from pneumo_core.certificate import certify
from pneumo_core.charts import Captioned
from pneumo_core.compute import Normalisation
from pneumo_core.data_figures import draw_data_figures
from pneumo_core.duplicates import Duplicates
from pneumo_core.evaluation import predict, write_evaluation
from pneumo_core.film_figures import TrainingFilms
from pneumo_core.manifest import DUPLICATE, KEPT, LABELS, QUARANTINED, kept
from pneumo_core.metrics import Figure
from pneumo_core.operating_point import OperatingPoint
from pneumo_core.params import EvaluateParams, ReportParams
from pneumo_core.report import (
    OUTCOMES,
    CellFindings,
    DataFindings,
    Findings,
    choose_films,
    count_films,
    render,
)
from pneumo_core.scoring import Scorer
from pneumo_core.shortcuts import Check
from pneumo_core.weights import Provenance

SIDE_PX = 64
HOSTILE = "<script>alert('1')</script>&$x_1$\"'"
PARAMS = ReportParams(num_saliency_films=4, seed=0)


def _film(number: int, split: str, label: str, **differing: Any) -> dict[str, Any]:
    name = f"{split}/{label}/{number}.jpeg"
    row = {
        "image_id": name,
        "path": name,
        "origin": "zip",
        "source_split": split,
        "split": split,
        "label": label,
    }
    subtype = "virus" if label == "PNEUMONIA" else None
    place = {"subtype": subtype, "patient_key": str(number), "packed_row": number}
    place |= {"patient_group": str(number % 7 or number), "sha256": f"{number:064x}"}
    return row | place | {"state": KEPT, "reason": None} | differing


def _table() -> pd.DataFrame:
    """12 films of each class in train, of which 4 move to val, and 10 of each class in test."""
    rows: list[dict[str, Any]] = []
    for label in LABELS:
        rows += [_film(len(rows) + i, "train", label) for i in range(8)]
        rows += [_film(len(rows) + i, "train", label) | {"split": "val"} for i in range(4)]
        rows += [_film(len(rows) + i, "test", label) for i in range(10)]
    rows[0] |= {"state": DUPLICATE, "reason": "same pixels"}
    rows[1] |= {"state": QUARANTINED, "reason": HOSTILE, "packed_row": None}
    table = pd.DataFrame(rows).astype({"packed_row": "Int64"})
    table["image_id"] = table["image_id"].where(
        table["split"] != "test", table["image_id"] + HOSTILE
    )
    return table


def _description(name: str) -> Description:
    origin = Origin(
        data_sha256="d" * 64,
        train_sha256="e" * 64,
        code_version="9.8.7",
        params={"lr": 0.00125, "class_weights": [1.0, 1.5]},
        pretrained=Provenance("hub", "timm hub: https://example.org/weights", "f" * 64),
    )
    blueprint = Blueprint(
        name=name,
        architecture="resnet10t",
        strategy="full",
        image_size_px=SIDE_PX,
        normalisation=Normalisation(0.5, 0.25),
        origin=origin,
    )
    points = {"reading_aid": OperatingPoint(0.5, 0.41, 0.59)}
    return Description(**dict(blueprint), temperature=1.25, operating_points=points)


def _cell(scorer: Scorer, table: pd.DataFrame, images: np.ndarray, folder: Path) -> CellFindings:
    metrics = {}
    for split in ("val", "test"):
        films = kept(table, split)
        predictions = predict(scorer, films, images[films["packed_row"].to_numpy(np.int64)])
        rng = np.random.default_rng(len(scorer.description.name))
        said = rng.uniform(0, 0.7, len(films)) + 0.3 * (films["label"] == "PNEUMONIA")
        predictions["probability"] = said.to_numpy()
        metrics[split] = write_evaluation(
            folder, predictions, scorer.description, split, EvaluateParams(num_draws=100)
        )
    history = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.7, 0.5], "val_loss": [0.8, 0.6]})
    return CellFindings(scorer.description, metrics["val"], metrics["test"], predictions, history)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    torch.manual_seed(0)
    return Scorer(timm.create_model("resnet10t", num_classes=2), _description(f"first{HOSTILE}"))


@pytest.fixture(scope="module")
def found(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    table = _table()
    images = np.random.default_rng(0).integers(0, 256, (len(table), SIDE_PX, SIDE_PX), np.uint8)
    folder = tmp_path_factory.mktemp("evaluation")
    other = Scorer(scorer.model, _description("second"))
    cells = tuple(_cell(each, table, images, folder) for each in (scorer, other))
    leaderboard = pd.DataFrame(
        {"cell": cell.name}
        | {
            f"{split}_{name}": figure["value"]
            for split, metrics in (("val", cell.val), ("test", cell.test))
            for name, figure in metrics.items()
            if isinstance(figure, dict) and "value" in figure
        }
        for cell in cells
    )
    certificate = certify(table, Duplicates([], [], [], []))
    data = DataFindings("films.zip", table, images, {"NORMAL": 777, "PNEUMONIA": 778}, certificate)
    beyond = Check("x", "model", "how it leans", Figure(0.31, 0.21, 0.41), limit=0.1, unit="%")
    audit = {"lint": {"warnings": ["brightness depends on the label."]}}
    audit |= {subject: [] for subject in ("data", "augmentation", "second")}
    audit |= {cells[0].name: [beyond.as_dict()]}
    return Findings(data, leaderboard, cells, audit, {"git commit": "abc123"})


@pytest.fixture(scope="module")
def figures(found: Findings) -> list[Captioned]:
    films = kept(found.data.table, "train")
    copies = films[["image_id", "label"]].assign(copy=1)
    images = found.data.images
    copy_images = images[films["packed_row"].to_numpy(np.int64)]
    train = TrainingFilms(films, images, copies, copy_images)
    return draw_data_figures(count_films(found.data), train, seed=0)


@pytest.fixture(scope="module")
def page(found: Findings, figures: list[Captioned], scorer: Scorer) -> str:
    return render(found, figures, scorer, PARAMS)


class _Reader(HTMLParser):
    """Tables as rows of texts, all text, and whether every element is closed in its turn."""

    VOID = ("meta", "img", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, _: object) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, _: object) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data


def test_page_is_well_formed_and_refers_to_nothing_outside_it(page: str) -> None:
    reader = _Reader(page)
    assert {"script", "link", "iframe", "object"}.isdisjoint(reader.tags)
    referred = re.findall(r'(?:src|href)="([^"]*)', page)
    assert referred
    assert all(target.startswith(("#", "data:image/")) for target in referred)
    assert all(target.startswith("#") for target in re.findall(r"url\((.)", page))
    assert "@import" not in page
    assert not re.search(r"\bnan\b", reader.text, re.IGNORECASE)


def test_hostile_names_are_text(page: str) -> None:
    assert "<script" not in page
    text = _Reader(page).text
    assert text.count(HOSTILE) >= 2 + PARAMS.num_saliency_films  # names, a reason, film ids


def test_leaderboard_shows_its_own_figures(page: str, found: Findings) -> None:
    (table,) = (t for t in _Reader(page).tables if t[1][0] == "model and strategy")
    names = ["auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "f1", "ece"]
    columns = [f"{split}_{name}" for split in ("val", "test") for name in names]
    for shown, row in zip(table[2:], found.leaderboard.to_dict("records"), strict=True):
        assert shown[0] == row["cell"]
        for text, column in zip(shown[1:], columns, strict=True):
            assert text in (f"{row[column]:.3f}", f"{row[column]:.1%}")


def test_headline_shows_the_winner_on_test(page: str, found: Findings) -> None:
    test, text = found.winner.test, _Reader(page).text
    assert f"{found.winner.name} won of 2 trained models" in text
    for name in ("accuracy", "sensitivity", "specificity"):
        figure = test[name]
        assert f"{figure['value']:.1%}" in text
        assert f"95% interval {figure['ci_low']:.1%}\u2013{figure['ci_high']:.1%}" in text
    counts = test["confusion"]
    assert f"{counts['tp']} of 10 films with pneumonia were found" in text
    assert f"{counts['tn']} of 10 normal films were passed" in text


def test_counts_obey_the_counting_law(found: Findings) -> None:
    counts = count_films(found.data).set_index(["split", "label"])
    assert counts.loc[("train", "NORMAL")].tolist() == [12, 1, 1, -4, 6]
    assert counts.loc[("val", "NORMAL")].tolist() == [0, 0, 0, 4, 4]
    assert counts.loc[("test", "PNEUMONIA")].tolist() == [10, 0, 0, 0, 10]
    assert counts["moved"].sum() == 0
    assert counts["files"].sum() == len(found.data.table)


def test_data_and_provenance_are_those_that_came_in(page: str, found: Findings) -> None:
    text = _Reader(page).text
    for fact in (
        "films.zip",
        "777",
        "778",
        found.data.certificate["test_split_hash"][:16],
        "abc123",
        "9.8.7",
        "d" * 64,
    ):
        assert fact in text
    assert "lr = 0.00125, class_weights = [1.0, 1.5]" in text
    assert "timm hub: https://example.org/weights" in text


def test_data_figures_are_shown_with_their_captions(page: str, figures: list[Captioned]) -> None:
    for figure in figures:
        assert figure.svg in page
        assert figure.caption in page


def test_same_findings_give_the_same_bytes(
    page: str, found: Findings, figures: list[Captioned], scorer: Scorer
) -> None:
    assert render(found, figures, scorer, PARAMS) == page


def test_drawn_films_are_said_to_be_drawn(
    page: str, found: Findings, figures: list[Captioned], scorer: Scorer
) -> None:
    note = "These films are drawn by a program"
    drawn = found.data.table.assign(origin="phantom")
    phantom = replace(found, data=replace(found.data, table=drawn))
    assert note not in page
    assert note in render(phantom, figures, scorer, PARAMS)


def test_without_films_or_maps_a_sentence_stands_in(
    found: Findings, figures: list[Captioned], scorer: Scorer
) -> None:
    none_asked = ReportParams(num_saliency_films=0)
    assert "No overlays were asked for" in render(found, figures, scorer, none_asked)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, img_size=SIDE_PX)
    page = render(found, figures, replace(scorer, model=model), PARAMS)
    assert "No overlays: VisionTransformer" in page


def _predictions(**counts: int) -> pd.DataFrame:
    kinds = {"tp": ("PNEUMONIA", 0.9), "tn": ("NORMAL", 0.1)}
    kinds |= {"fp": ("NORMAL", 0.5), "fn": ("PNEUMONIA", 0.4)}
    rows = [kinds[kind] for kind, count in counts.items() for _ in range(count)]
    table = pd.DataFrame(rows, columns=["label", "probability"])
    return table.assign(image_id=[str(i) for i in table.index])


@pytest.mark.parametrize(
    ("counts", "num_films", "expected"),
    [
        ({"tp": 9, "tn": 9, "fp": 9, "fn": 9}, 8, (2, 2, 2, 2)),
        ({"tp": 9, "tn": 9, "fp": 1, "fn": 0}, 8, (4, 3, 1, 0)),
        ({"tp": 1, "tn": 1, "fp": 0, "fn": 1}, 8, (1, 1, 0, 1)),
        ({"tp": 9, "tn": 9, "fp": 9, "fn": 9}, 0, (0, 0, 0, 0)),
    ],
)
def test_chosen_films_are_spread_over_the_outcomes(
    counts: dict[str, int], num_films: int, expected: tuple[int, ...]
) -> None:
    chosen = choose_films(_predictions(**counts), 0.5, num_films, seed=0)
    assert tuple(int((chosen["outcome"] == outcome).sum()) for outcome in OUTCOMES) == expected
    assert chosen["outcome"].is_monotonic_increasing


def test_chosen_films_follow_from_the_seed_alone() -> None:
    predictions = _predictions(tp=20, tn=20, fp=20, fn=20)
    first, again, other = (choose_films(predictions, 0.5, 8, seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert set(first["image_id"]) != set(other["image_id"])


def test_certificate_and_audit_stand_with_their_verdicts(page: str) -> None:
    text = _Reader(page).text
    assert "leakage certificate is valid" in text
    assert re.search(r"how it leans\s*31\.0%\s*21\.0%.41\.0%\s*10\.0%\s*BEYOND", text)
    assert "The recipe of augmentation: brightness depends on the label." in text
