"""May a model's saliency maps be believed, and do they lie where films carry marks?

Sanity check by randomised weights (Adebayo et al. 2018, arXiv:1810.03292): a map that stays the
same when what was learnt is taken away shows the film, not the model. Likeness is Spearman's rank
correlation between the maps, cell by cell of the feature map, with signs.

The share of a map on borders and corners, where burnt-in letters, edges of the plate and padding
are, stands beside the share of the film's area that these are.
"""

import copy
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata
from torch import nn

from pneumo_core.arrays import Floats, Images
from pneumo_core.audit.shortcuts import Cohort, estimate_mean
from pneumo_core.evaluation.saliency import contributions, saliency
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.labels import POSITIVE
from pneumo_core.models.bundle import Description
from pneumo_core.models.compute import choose_device, to_batch
from pneumo_core.models.randomness import seeded
from pneumo_core.models.weights import create_model
from pneumo_core.params import AuditParams

BORDER, CORNER = 0.10, 0.20  # of a side; a corner is a square
MAX_SIMILARITY = (
    0.5  # of a model's maps to those of a random one: half way to telling nothing of it
)
BATCH_SIZE = 4  # the whole network's activations are kept for the gradient

MapOf = Callable[[nn.Module, torch.Tensor, int], torch.Tensor]


def check_saliency(
    scorer: Scorer, images: Images, cohort: Cohort, params: AuditParams
) -> dict[str, Any]:
    """Of films [N, H, W] that the model did not learn from.

    `similarity` to a model whose classifier, and to one whose every weight, is random; `places` on
    which part of the maps lies, of the films where anything speaks for pneumonia.

    Raises:
        EvaluationError: the model has no map; see `saliency.last_spatial_layer`.
    """
    draws = cohort.draws(params)
    similarity = {
        what: estimate_mean(like, draws)
        for what, like in _similarity(scorer, images, params.seed).items()
    }
    maps = _maps(saliency, scorer.model, images, scorer.description)
    lit = maps.any(axis=(1, 2))
    masks = {"border": border(maps.shape[1]), "corners": corners(maps.shape[1])}
    usable = draws[draws @ lit > 0][:, lit]
    return {
        "n": len(images),
        "num_lit": int(lit.sum()),
        "similarity": {what: asdict(figure) for what, figure in similarity.items()},
        "max_similarity": MAX_SIMILARITY,
        "passed": all(
            figure.ci_low >= -MAX_SIMILARITY and figure.ci_high <= MAX_SIMILARITY
            for figure in similarity.values()
        ),
        "places": {
            name: asdict(estimate_mean(share_on(maps[lit], mask), usable))
            | {"area": float(mask.mean())}
            for name, mask in masks.items()
        }
        if lit.any()
        else {},
    }


def border(side_px: int) -> npt.NDArray[np.bool_]:
    """[side, side]; within `BORDER` of an edge."""
    inner = _within(side_px, BORDER)
    return ~(inner[:, None] & inner)


def corners(side_px: int) -> npt.NDArray[np.bool_]:
    outer = ~_within(side_px, CORNER)
    return outer[:, None] & outer


def _within(side_px: int, margin: float) -> npt.NDArray[np.bool_]:
    middle = (np.arange(side_px) + 0.5) / side_px
    within: npt.NDArray[np.bool_] = (middle > margin) & (middle < 1 - margin)
    return within


def share_on(maps: Floats, mask: npt.NDArray[np.bool_]) -> Floats:
    """Share of each map [N, H, W], none of them dark, that lies on the mask [H, W]."""
    share: Floats = (maps * mask).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
    return share


def rank_correlation(first: Floats, second: Floats) -> Floats:
    """Spearman's, of each pair of maps [N, H, W]; 0 where a map is flat."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    centred = [rank - rank.mean(1, keepdims=True) for rank in ranks]
    spread = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    correlation: Floats = (centred[0] * centred[1]).sum(1) / np.where(spread > 0, spread, 1)
    return correlation


def _similarity(scorer: Scorer, images: Images, seed: int) -> dict[str, Floats]:
    trained = _maps(contributions, scorer.model, images, scorer.description)
    found = {}
    for what, model in _randomised(scorer, seed).items():
        random = _maps(contributions, model, images, scorer.description)
        found[what] = rank_correlation(trained, random)
    return found


def _randomised(scorer: Scorer, seed: int) -> dict[str, nn.Module]:
    """The model without what it learnt: without its classifier, and without all of it."""
    description = scorer.description
    with seeded(seed, choose_device("float32")):
        fresh, _ = create_model(description.architecture, "none", len(description.labels))
        headless: Any = copy.deepcopy(scorer.model)
        headless.reset_classifier(len(description.labels))
    return {"classifier": headless, "all": fresh}


def _maps(map_of: MapOf, model: nn.Module, images: Images, description: Description) -> Floats:
    device = choose_device("float32")
    parts = [
        map_of(model, to_batch(part, description.normalisation, device), POSITIVE)
        for part in np.array_split(images, -(-len(images) // BATCH_SIZE))
    ]
    return torch.cat(parts).double().cpu().numpy()
