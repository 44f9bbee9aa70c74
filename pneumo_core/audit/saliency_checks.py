"""Checks of a model's saliency maps: do they depend on its weights, and do they lie on borders?

The first check is that of Adebayo et al. 2018 (arXiv:1810.03292): a map that stays the same when
the weights are made random shows the film, not the model. The similarity of two maps is Spearman's
rank correlation over the cells of the feature map, with signs.

Borders and corners have letters, edges of the plate and padding. The share of a map that lies on
them is compared with their share of the film.
"""

import copy
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import rankdata

from pneumo_core.arrays import Bools, Floats, Images
from pneumo_core.audit.shortcuts import Cohort, estimate_mean
from pneumo_core.evaluation.engine import Engine
from pneumo_core.evaluation.saliency import enlarge, evidence_on
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models import bundled_model
from pneumo_core.models.compute import choose_device
from pneumo_core.models.randomness import seeded
from pneumo_core.params import AuditParams

BORDER, CORNER = 0.10, 0.20  # of a side; a corner is a square
MAX_SIMILARITY = 0.5  # to the maps of a random model; at 1 a map shows nothing of the model


def check_saliency(
    scorer: Scorer, images: Images, cohort: Cohort, params: AuditParams
) -> dict[str, Any]:
    """Return both checks on films [N, H, W] from which the model did not learn.

    `similarity` is to the maps of the model with a random classifier and with random weights
    everywhere. `places` is the share of the maps on borders and corners, over the `num_lit` films
    whose maps are not all zeros.

    Raises as `evidence_on` does.
    """
    draws = cohort.draws(params)
    trained = evidence_on(scorer.engine, images)
    similarity = {
        what: estimate_mean(like, draws)
        for what, like in _similarity(scorer, trained, images, params.seed).items()
    }
    maps = enlarge(trained, images.shape[-1])
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


def border(side_px: int) -> Bools:
    """Return what lies within `BORDER` of an edge, [side, side]."""
    inner = _within(side_px, BORDER)
    return ~(inner[:, None] & inner)


def corners(side_px: int) -> Bools:
    outer = ~_within(side_px, CORNER)
    return outer[:, None] & outer


def _within(side_px: int, margin: float) -> Bools:
    middle = (np.arange(side_px) + 0.5) / side_px
    within: Bools = (middle > margin) & (middle < 1 - margin)
    return within


def share_on(maps: Floats, mask: Bools) -> Floats:
    """Return the share of each map [N, H, W] on the mask [H, W]; no map may be all zeros."""
    share: Floats = (maps * mask).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
    return share


def rank_correlation(first: Floats, second: Floats) -> Floats:
    """Return Spearman's correlation of each pair of maps [N, H, W], [N]; 0 where a map is flat."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second)]
    centred = [rank - rank.mean(1, keepdims=True) for rank in ranks]
    spread = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    correlation: Floats = (centred[0] * centred[1]).sum(1) / np.where(spread > 0, spread, 1)
    return correlation


def _similarity(scorer: Scorer, trained: Floats, images: Images, seed: int) -> dict[str, Floats]:
    return {
        what: rank_correlation(trained, evidence_on(random, images))
        for what, random in _randomised(scorer, seed).items()
    }


def _randomised(scorer: Scorer, seed: int) -> dict[str, Engine]:
    """Return the model with a random classifier, and with random weights everywhere."""
    description = scorer.description
    with seeded(seed, choose_device("float32")):
        fresh = bundled_model.untrained(description)
        headless: Any = copy.deepcopy(scorer.engine.in_torch().model)
        headless.reset_classifier(len(description.labels))
    engines = {"classifier": headless, "all": fresh}
    return {what: TorchEngine(model, description.normalisation) for what, model in engines.items()}
