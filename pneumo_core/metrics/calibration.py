"""Whether a probability means what it says, and what it means where pneumonia is rarer."""

from dataclasses import asdict
from typing import Any

import numpy as np

from pneumo_core.metrics.intervals import brier, ece, shares
from pneumo_core.metrics.metrics import Scores, equal_mass_bins, patient_weights
from pneumo_core.metrics.predictive import at_prevalence
from pneumo_core.params import EvaluateParams

JsonDict = dict[str, Any]  # as JSON has it


def calibration(
    scores: Scores,
    threshold: float,
    temperature: float | None,
    known: float | None,
    params: EvaluateParams,
) -> JsonDict:
    """The section of `metrics.json`; `known` is the prevalence at which the probabilities hold."""
    return {
        "temperature": temperature,
        "prevalence": known,
        "bins": reliability_bins(scores),
        "at_own_prevalence": known and _at_own_prevalence(scores, known, params),
        "elsewhere": known
        and [
            {"prevalence": p, "threshold": float(at_prevalence(np.array(threshold), known, p))}
            for p in params.prevalences
        ],
    }


def reliability_bins(scores: Scores) -> list[JsonDict]:
    """Those of the ECE: `low` and `high` probability, their mean, and the share that is ill."""
    rows, starts = equal_mass_bins(scores.probabilities)
    bins = []
    for members in np.split(rows, starts[1:]):
        said = scores.probabilities[members]
        among = np.isin(np.arange(len(rows)), members)
        bins.append(
            {
                "n": len(members),
                "low": float(said.min()),
                "high": float(said.max()),
                "mean_probability": float(said.mean()),
                "share_ill": asdict(shares(scores.ill[None], among, scores).figure()),
            }
        )
    return bins


def _at_own_prevalence(scores: Scores, known: float, params: EvaluateParams) -> JsonDict:
    """How well the probabilities hold once the share of ill films is made known to them."""
    own = float(scores.labels.mean())
    moved = Scores(
        scores.labels, at_prevalence(scores.probabilities, known, own), scores.patient_keys
    )
    draws = patient_weights(scores, params.num_draws, params.seed)
    return {
        "prevalence": own,
        "brier": asdict(brier(moved)),
        "ece": asdict(ece(moved, draws)),
    }
