"""A committee: trained models as one, whose log odds are the mean of their calibrated log odds.

The mean of calibrated log odds is linear in the members' features, so one linear layer over all of
them gives it. The members' last maps lie beside each other in one map. So whatever reads a model
(scores, features, saliency, export) reads a committee too.

Shape letters: B batch, C channels, F features, H height, K classes, W width.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from pneumo_core.arrays import Images
from pneumo_core.errors import EvaluationError
from pneumo_core.labels import POSITIVE
from pneumo_core.models.bundle import (
    Blueprint,
    Description,
    Normalisation,
    PretrainedWeights,
    TrainingRecord,
)
from pneumo_core.models.compute import to_input
from pneumo_core.models.strategies import classifiers

NAME = "committee"  # of the cell, in place of architecture and strategy
GRAY = Normalisation(0.0, 1.0)  # each member normalises for itself
NUM_COMPARED, TOLERANCE = 4, 1e-4  # films; of the log odds


class Committee(nn.Module):
    """`joined` gives the last maps of all members, and `classifier` takes all their features."""

    def __init__(self, members: Sequence[Any], normalisations: Sequence[Normalisation]) -> None:
        """Take from the members, which are timm models, the linear layer that they end in."""
        super().__init__()
        heads: list[Any] = [classifiers(member)[0] for member in members]
        self.classifier = nn.Linear(sum(head.in_features for head in heads), heads[0].out_features)
        for member in members:
            member.reset_classifier(0)
        self.members = nn.ModuleList(members)
        self.normalisations = tuple(normalisations)
        self.joined = nn.Identity()

    def forward(self, gray_BCHW: torch.Tensor) -> torch.Tensor:
        members: list[Any] = list(self.members)
        maps = [
            member.forward_features((gray_BCHW - own.mean) / own.std)
            for member, own in zip(members, self.normalisations, strict=True)
        ]
        widths = [int(each.shape[1]) for each in maps]
        parts = self.joined(torch.cat(maps, 1)).split(widths, 1)
        features = [
            member.forward_head(part).flatten(1)
            for member, part in zip(members, parts, strict=True)
        ]
        logits_BK: torch.Tensor = self.classifier(torch.cat(features, 1))
        return logits_BK

    def get_classifier(self) -> nn.Module:
        return self.classifier

    def reset_classifier(self, num_classes: int) -> None:
        self.classifier = nn.Linear(self.classifier.in_features, num_classes)


def join(
    members: Sequence[tuple[nn.Module, Description]], films: Images
) -> tuple[Committee, Blueprint]:
    """Return the committee of the models of several bundles, in float32 on the CPU.

    Args:
        members: models, which lose their classifiers, for films of one size.
        films: [N, H, W]; on the first of them the committee is compared with its members.

    Raises:
        EvaluationError: there is one member, or one that does not end in one linear layer, or their
            maps differ in size.
    """
    if len(members) < 2:
        raise _unfit("the grid has one model")
    gray_BCHW = to_input(torch.from_numpy(films[:NUM_COMPARED]), GRAY)
    described = [description for _, description in members]
    models: list[Any] = [model.eval() for model, _ in members]
    heads = [classifiers(model) for model in models]
    weights, biases = [], []
    for each, layers in zip(described, heads, strict=True):
        head = layers[0]
        if len(layers) > 1 or not isinstance(head, nn.Linear):
            raise _unfit(f"{each.name} does not end in one linear layer")
        weights.append(each.slope * head.weight.detach())
        biases.append(each.slope * head.bias.detach())
        biases[-1][POSITIVE] += each.intercept
    with torch.no_grad():
        expected_B = _mean_log_odds(models, described, gray_BCHW)
        committee = Committee(models, [each.normalisation for each in described]).eval()
        committee.classifier.weight.copy_(torch.cat(weights, 1) / len(models))
        committee.classifier.bias.copy_(torch.stack(biases).mean(0))
        try:
            found_B = _margins(committee(gray_BCHW))
        except Exception as error:  # their maps cannot lie beside each other
            raise _unfit(f"the maps of {_names(described)} differ in size") from error
    if not torch.allclose(found_B, expected_B, rtol=TOLERANCE, atol=TOLERANCE):
        raise _unfit(f"of {_names(described)} one does not end in its linear layer")
    return committee, _blueprint(described)


def _mean_log_odds(
    models: Sequence[nn.Module], described: Sequence[Description], gray_BCHW: torch.Tensor
) -> torch.Tensor:
    each_B = [
        own.slope * _margins(model((gray_BCHW - own.normalisation.mean) / own.normalisation.std))
        + own.intercept
        for model, own in zip(models, described, strict=True)
    ]
    return torch.stack(each_B).mean(0)


def _margins(logits_BK: torch.Tensor) -> torch.Tensor:
    return logits_BK[:, POSITIVE] - logits_BK[:, 1 - POSITIVE]


def _unfit(why: str) -> EvaluationError:
    return EvaluationError(f"No committee: {why}. Set evaluate.committee_size to 0.")


def _names(members: Sequence[Blueprint]) -> str:
    return ", ".join(member.name for member in members)


def _listed(texts: Iterable[str | None]) -> str:
    """Return the different ones, in their order."""
    return "; ".join(dict.fromkeys(filter(None, texts)))


def _blueprint(members: Sequence[Description]) -> Blueprint:
    own = [
        Blueprint(**{name: getattr(each, name) for name in Blueprint.model_fields})
        for each in members
    ]
    first = own[0]
    pretrained = [each.origin.pretrained for each in own]
    common = {
        name: value
        for name, value in first.origin.params.items()
        if all(each.origin.params.get(name) == value for each in own)
    }
    names = {"model": NAME, "strategy": NAME, "members": [each.name for each in own]}
    return Blueprint(
        name=NAME,
        architecture=NAME,
        strategy=NAME,
        image_size_px=first.image_size_px,
        normalisation=GRAY,
        members=tuple(own),
        origin=TrainingRecord(
            data_sha256=first.origin.data_sha256,
            train_sha256=first.origin.train_sha256,
            code_version=first.origin.code_version,
            params=common | names,
            pretrained=PretrainedWeights(
                source=_listed(each.source for each in pretrained),
                origin=_listed(each.origin for each in pretrained),
                sha256=_listed(each.sha256 for each in pretrained) or None,
            ),
        ),
    )
