"""Which films are shown, and that their maps can be compared."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from torch import nn

from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.saliency import map_films
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models.bundle import Normalisation
from pneumo_core.params import ReportParams
from pneumo_core.report.blocks import Films, Paragraph, Table
from pneumo_core.report.sections import cases
from pneumo_core.report.sections.cases import OUTCOMES, choose_films, explain
from pneumo_core.report.words import Words

THRESHOLD = 0.5
NORMALISATION = Normalisation(0.5, 0.5)


def _predictions(**counts: int) -> pd.DataFrame:
    kinds = {"tp": ("PNEUMONIA", 0.9), "tn": ("NORMAL", 0.1)}
    kinds |= {"fp": ("NORMAL", 0.5), "fn": ("PNEUMONIA", 0.4)}
    rows = [
        {"label": kinds[kind][0], "probability": kinds[kind][1], "subtype": None}
        for kind, count in counts.items()
        for _ in range(count)
    ]
    table = pd.DataFrame(rows)
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
def test_random_films_are_spread_over_the_outcomes(
    counts: dict[str, int], num_films: int, expected: tuple[int, ...]
) -> None:
    params = ReportParams(num_saliency_films=num_films, num_worst_films=0)
    chosen = choose_films(_predictions(**counts), THRESHOLD, params)
    assert tuple(int((chosen["outcome"] == outcome).sum()) for outcome in OUTCOMES) == expected
    assert set(chosen["chosen"]) <= {"random"}


def test_random_films_follow_from_the_seed_alone() -> None:
    films = _predictions(tp=20, tn=20, fp=20, fn=20)
    params = [ReportParams(num_saliency_films=8, num_worst_films=0, seed=s) for s in (1, 1, 2)]
    first, again, other = (choose_films(films, THRESHOLD, p) for p in params)
    assert first.equals(again)
    assert set(first["image_id"]) != set(other["image_id"])


def test_worst_errors_are_those_furthest_from_the_threshold() -> None:
    films = _predictions(tp=5, tn=5, fp=5, fn=5)
    wrong = {10: 0.51, 11: 0.99, 12: 0.7, 13: 0.8, 14: 0.6}  # rows of false positives
    wrong |= {15: 0.45, 16: 0.3, 17: 0.01, 18: 0.4, 19: 0.2}
    for row, probability in wrong.items():
        films.loc[row, "probability"] = probability
    params = ReportParams(num_saliency_films=0, num_worst_films=4)
    worst = choose_films(films, THRESHOLD, params)
    assert worst["image_id"].tolist() == ["11", "13", "17", "19"]
    assert set(worst["chosen"]) == {"worst"}


def test_no_film_is_shown_twice() -> None:
    films = _predictions(tp=2, tn=2, fp=2, fn=1)
    chosen = choose_films(films, THRESHOLD, ReportParams(num_saliency_films=8, num_worst_films=8))
    assert len(chosen) == chosen["image_id"].nunique() == len(films)


class _Light(nn.Module):
    """Its map is the film, four times coarser."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(4)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        score_B = self.pool(x_BCHW.relu()).mean((1, 2, 3))
        return torch.stack([torch.zeros_like(score_B), score_B], 1)


def test_maps_of_all_films_are_on_one_scale(made: Any) -> None:
    pixels = np.full((2, 64, 64), 128, np.uint8)
    pixels[0, 16:48, 16:48], pixels[1, 16:48, 16:48] = 255, 160
    chosen = choose_films(_predictions(tp=2), THRESHOLD, ReportParams(num_saliency_films=2))
    engine = TorchEngine(_Light(), NORMALISATION)
    scorer = replace(made.scorer, engine=engine)
    shown = explain(chosen, pixels, THRESHOLD, scorer)
    maps = map_films(engine, pixels)
    assert shown.brightest == pytest.approx(maps.max())
    assert maps[0].max() > 3 * maps[1].max() > 0
    assert shown.films[0].overlay != shown.films[1].overlay


def test_a_model_without_maps_says_so(made: Any) -> None:
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, img_size=64)
    scorer = replace(made.scorer, engine=TorchEngine(model, NORMALISATION))
    chosen = choose_films(_predictions(tp=2), THRESHOLD, ReportParams())
    with pytest.raises(EvaluationError, match="VisionTransformer"):
        explain(chosen, np.zeros((2, 64, 64), np.uint8), THRESHOLD, scorer)
    (block,) = cases.build(None, made.found, Words("en"))
    assert isinstance(block, Paragraph)
    assert "no maps" in block.text


def test_section_shows_each_film_with_probability_and_threshold(made: Any) -> None:
    shown = made.pictures.shown
    blocks = cases.build(shown, made.found, Words("ko"))
    (films,) = (block for block in blocks if isinstance(block, Films))
    assert len(films.films) == len(shown.films) >= 4
    for film, source in zip(films.films, shown.films, strict=True):
        assert f"확률 {source.probability:.3f}, 임계값 {shown.threshold:.3f}" in film.text
        assert film.name == source.image_id
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert [row[1] for row in table.rows] == ["0.100", "0.100", "30.0%", "10.0%"]
    assert "통과했다" in blocks[-1].text
