"""Maps that do not depend on what was learnt are found out, and so are maps that lie on marks."""

import numpy as np
import pytest
import timm
import torch
from scipy.stats import spearmanr

from pneumo_core.arrays import Floats, Images
from pneumo_core.audit import saliency_checks
from pneumo_core.audit.saliency_checks import (
    border,
    check_saliency,
    corners,
    rank_correlation,
    share_on,
)
from pneumo_core.audit.shortcuts import Cohort
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models.bundle import Description, Normalisation, PretrainedWeights, TrainingRecord
from pneumo_core.params import AuditParams

SIDE_PX, NUM = 96, 10
PARAMS = AuditParams(num_draws=200)
COHORT = Cohort(np.arange(NUM) % 2, np.arange(NUM).astype(np.str_))
IMAGES = np.random.default_rng(0).integers(0, 256, (NUM, SIDE_PX, SIDE_PX), np.uint8)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    origin = TrainingRecord(
        data_sha256="",
        train_sha256="",
        code_version="",
        params={},
        pretrained=PretrainedWeights("none", "random start", None),
    )
    description = Description(
        name="cell",
        architecture="resnet10t",
        strategy="full",
        image_size_px=SIDE_PX,
        normalisation=Normalisation(0.5, 0.25),
        origin=origin,
        slope=1.0,
        intercept=0.0,
        operating_points={},
    )
    torch.manual_seed(7)
    model = timm.create_model("resnet10t", num_classes=2)
    return Scorer(TorchEngine(model, description.normalisation), description)


def test_maps_of_a_network_are_unlike_those_of_a_random_one(scorer: Scorer) -> None:
    found = check_saliency(scorer, IMAGES, COHORT, PARAMS)
    assert found == check_saliency(scorer, IMAGES, COHORT, PARAMS)
    assert found["n"] == NUM
    assert set(found["similarity"]) == {"classifier", "all"}
    assert found["passed"]
    assert all(abs(figure["value"]) < 0.5 for figure in found["similarity"].values())
    for name, area in {"border": 0.36, "corners": 0.16}.items():
        place = found["places"][name]
        assert place["area"] == pytest.approx(area, abs=0.02)
        assert 0 <= place["ci_low"] <= place["value"] <= place["ci_high"] <= 1


def test_a_map_that_shows_only_the_film_is_found_out(
    scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: an "explanation" that never asks the model."""

    def edges(_: object, images: Images) -> Floats:
        return np.abs(np.diff(images.astype(float), axis=1))

    monkeypatch.setattr(saliency_checks, "evidence_on", edges)
    found = check_saliency(scorer, IMAGES, COHORT, PARAMS)
    assert not found["passed"]
    assert found["similarity"]["all"]["value"] == pytest.approx(1)


def test_dark_maps_have_no_place(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saliency_checks, "enlarge", lambda *_: np.zeros(IMAGES.shape))
    found = check_saliency(scorer, IMAGES, COHORT, PARAMS)
    assert found["num_lit"] == 0
    assert found["places"] == {}


def test_shares_of_a_map_by_hand() -> None:
    maps = np.zeros((3, 20, 20))
    maps[0, 0, 0] = 5  # in a corner
    maps[1, 10, 10] = maps[1, 10, 1] = 1  # half in the middle, half on the border
    maps[2] = 1
    on_border, on_corners = share_on(maps, border(20)), share_on(maps, corners(20))
    assert on_border.tolist() == pytest.approx([1, 0.5, 0.36])
    assert on_corners.tolist() == pytest.approx([1, 0, 0.16])


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(5, 4, 4)).round(1)  # with ties
    second = (first + rng.normal(size=(5, 4, 4))).round(1)
    second[4] = 3.0
    expected = [
        spearmanr(a.ravel(), b.ravel()).statistic
        for a, b in zip(first[:4], second[:4], strict=True)
    ]
    assert rank_correlation(first, second).tolist() == pytest.approx([*expected, 0])


def test_a_transformer_has_no_map_to_check(scorer: Scorer) -> None:
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, img_size=SIDE_PX)
    described = scorer.description.model_copy(update={"architecture": "vit_tiny_patch16_224"})
    with pytest.raises(EvaluationError, match="VisionTransformer"):
        check_saliency(
            Scorer(TorchEngine(model, described.normalisation), described), IMAGES, COHORT, PARAMS
        )
