from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import nn

from pneumo_core.arrays import Images
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.hirescam import contributions
from pneumo_core.labels import POSITIVE
from pneumo_core.models import bundled_model
from pneumo_core.models.bundle import Description, Normalisation, PretrainedWeights, TrainingRecord
from pneumo_core.models.committee import GRAY, Committee, join
from pneumo_core.models.compute import to_input
from pneumo_core.models.strategies import classifiers

SIDE_PX = 96  # so that the last maps have several cells
RESNET, EFFICIENTNET = "test_resnet", "test_efficientnet"  # timm's own for tests
CALIBRATION = {RESNET: (0.7, -0.2), EFFICIENTNET: (1.6, 0.5)}  # slope, intercept
NORMALISATION = {RESNET: Normalisation(0.45, 0.22), EFFICIENTNET: Normalisation(0.5, 0.5)}

Member = tuple[nn.Module, Description]


@pytest.fixture
def films() -> Images:
    return np.random.default_rng(0).integers(0, 256, (5, SIDE_PX, SIDE_PX), np.uint8)


def _member(architecture: str, seed: int = 0, **record: Any) -> Member:
    torch.manual_seed(seed)
    model = timm.create_model(architecture, num_classes=2).eval()
    slope, intercept = CALIBRATION.get(architecture, (1.0, 0.0))
    origin = TrainingRecord(
        data_sha256="d" * 64,
        train_sha256="e" * 64,
        code_version="1",
        params={"model": architecture, "strategy": "full", "seed": 3} | record,
        pretrained=PretrainedWeights("hub", f"hub: {architecture}", architecture[5] * 64),
    )
    return model, Description(
        name=f"{architecture}-full",
        architecture=architecture,
        strategy="full",
        image_size_px=SIDE_PX,
        normalisation=NORMALISATION.get(architecture, GRAY),
        origin=origin,
        slope=slope,
        intercept=intercept,
        operating_points={},
    )


@pytest.fixture
def members() -> list[Member]:
    return [_member(RESNET), _member(EFFICIENTNET)]


def _log_odds(model: nn.Module, films: Images, normalisation: Normalisation) -> torch.Tensor:
    with torch.no_grad():
        logits_BK: torch.Tensor = model(to_input(torch.from_numpy(films), normalisation))
    return logits_BK[:, 1] - logits_BK[:, 0]


def test_log_odds_are_the_mean_of_the_members_calibrated_ones(
    members: Sequence[Member], films: Images
) -> None:
    calibrated = [
        own.slope * _log_odds(model, films, own.normalisation) + own.intercept
        for model, own in members
    ]
    committee, blueprint = join(members, films)
    found = _log_odds(committee, films, blueprint.normalisation)
    torch.testing.assert_close(found, torch.stack(calibrated).mean(0), rtol=1e-5, atol=1e-5)


def test_map_is_the_mean_of_the_members_maps_by_their_slopes(
    members: Sequence[Member], films: Images
) -> None:
    def evidence(model: nn.Module, normalisation: Normalisation) -> torch.Tensor:
        return contributions(model, to_input(torch.from_numpy(films), normalisation), POSITIVE)

    maps = [own.slope * evidence(model, own.normalisation) for model, own in members]
    committee, _ = join(members, films)
    expected_BHW = torch.stack(maps).mean(0)
    assert expected_BHW.shape[1:] > (1, 1)
    torch.testing.assert_close(evidence(committee, GRAY), expected_BHW, rtol=1e-4, atol=1e-6)


def test_features_are_those_of_all_members(members: Sequence[Member], films: Images) -> None:
    widths = [classifiers(model)[0].in_features for model, _ in members]
    committee, _ = join(members, films)
    assert classifiers(committee) == [committee.classifier]
    assert committee.classifier.in_features == sum(widths)


def test_a_written_committee_is_built_again(
    members: Sequence[Member], films: Images, tmp_path: Path
) -> None:
    committee, blueprint = join(members, films)
    bundled_model.write_weights(committee, tmp_path / "weights")
    read = type(blueprint).model_validate(blueprint.model_dump(mode="json"))
    assert read == blueprint
    built = bundled_model.build(read, tmp_path / "weights").eval()
    assert torch.equal(_log_odds(built, films, GRAY), _log_odds(committee, films, GRAY))


def test_blueprint_names_the_members_and_what_they_share(films: Images) -> None:
    members = [_member(RESNET, epochs=3), _member(EFFICIENTNET, epochs=3, lr=0.1)]
    _, blueprint = join(members, films)
    assert [member.name for member in blueprint.members] == [
        f"{RESNET}-full",
        f"{EFFICIENTNET}-full",
    ]
    assert blueprint.origin.params == {"seed": 3, "epochs": 3} | {
        "model": "committee",
        "strategy": "committee",
        "members": [f"{RESNET}-full", f"{EFFICIENTNET}-full"],
    }
    assert blueprint.origin.pretrained == PretrainedWeights(
        "hub", f"hub: {RESNET}; hub: {EFFICIENTNET}", f"{'r' * 64}; {'e' * 64}"
    )


def _without_linear_head(model: Any) -> None:
    model.fc = nn.Sequential(model.fc)


def _with_more_after_its_head(model: Any) -> None:
    model.forward_head = lambda map_BCHW, **_: model.fc(model.global_pool(map_BCHW)).relu()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_linear_head, "test_resnet-full does not end in one linear layer"),
        (_with_more_after_its_head, "one does not end in its linear layer"),
    ],
)
def test_a_model_of_another_form_is_an_error(
    members: Sequence[Member], films: Images, change: Callable[[Any], None], message: str
) -> None:
    change(members[0][0])
    with pytest.raises(EvaluationError, match=rf"{message}\. Set evaluate\.committee_size to 0"):
        join(members, films)


def test_maps_of_different_sizes_are_an_error(films: Images) -> None:
    members = [_member(RESNET), _member("test_vit", img_size=SIDE_PX)]
    with pytest.raises(EvaluationError, match="maps of test_resnet-full, test_vit-full differ"):
        join(members, films)


def test_a_random_classifier_replaces_that_of_the_committee(
    members: Sequence[Member], films: Images
) -> None:
    committee, _ = join(members, films)
    before = _log_odds(committee, films, GRAY)
    committee.reset_classifier(2)
    assert isinstance(committee, Committee)
    assert not torch.allclose(_log_odds(committee, films, GRAY), before)


@pytest.mark.slow
def test_the_architectures_of_the_study_and_of_the_profile_best_form_a_committee(
    films: Images,
) -> None:
    names = ("efficientnet_b0", "densenet121", "convnext_tiny", "resnet50", "convnextv2_tiny")
    members = [_member(name) for name in names]
    calibrated = [_log_odds(model, films, own.normalisation) for model, own in members]
    committee, _ = join(members, films)
    found = _log_odds(committee, films, GRAY)
    torch.testing.assert_close(found, torch.stack(calibrated).mean(0), rtol=1e-4, atol=1e-4)
