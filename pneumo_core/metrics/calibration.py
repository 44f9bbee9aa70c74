"""Whether a probability means what it says, and what it means where pneumonia is rarer."""

from dataclasses import asdict, replace

import numpy as np
from scipy.special import expit, logit

from pneumo_core.arrays import Floats
from pneumo_core.atomic import JsonDict
from pneumo_core.metrics.influence import Influence
from pneumo_core.metrics.intervals import brier, ece, shares
from pneumo_core.metrics.metrics import Scores, equal_mass_bins, patient_weights
from pneumo_core.metrics.platt import fit_logistic
from pneumo_core.metrics.predictive import at_prevalence
from pneumo_core.params import EvaluateParams

NEAREST = 2.0**-53  # to 0 and 1 of a probability whose log odds are taken


def calibration(
    scores: Scores, threshold: float, known: float | None, params: EvaluateParams
) -> JsonDict:
    """The section of `metrics.json`; `known` is the prevalence at which the probabilities hold."""
    return {
        "prevalence": known,
        "bins": reliability_bins(scores),
        "at_own_prevalence": known and _at_own_prevalence(scores, known, params),
        "elsewhere": known
        and [
            {"prevalence": p, "threshold": float(at_prevalence(np.array(threshold), known, p))}
            for p in params.prevalences
        ],
    }


def calibration_figures(scores: Scores, known: float | None) -> JsonDict:
    """Return by name intercept and slope of the true log odds over the stated ones (Cox 1958).

    `calibration_intercept` is calibration in the large: the log odds to add at slope 1, above 0
    where the probabilities are too low. `calibration_slope` is below 1 where they are too extreme,
    and null where they separate the classes: then it has no bound. Both count at the share of
    pneumonia among these films, so that another prevalence is no fault. Intervals by Student's t
    from what each patient adds (sandwich variance).
    """
    stated = logit(np.clip(scores.probabilities, NEAREST, 1 - NEAREST))
    if known:
        stated = stated + logit(scores.labels.mean()) - logit(known)
    ones = np.ones_like(stated)
    separated = stated[scores.positive].min() >= stated[~scores.positive].max()
    return {
        "calibration_intercept": _coefficient(scores, ones[None], stated),
        "calibration_slope": None
        if separated
        else _coefficient(scores, np.stack([stated, ones]), np.zeros_like(stated)),
    }


def _coefficient(scores: Scores, inputs_PN: Floats, offset_N: Floats) -> JsonDict:
    """Return the first coefficient of a logistic model of the labels, with its interval."""
    found = fit_logistic(inputs_PN, scores.labels.astype(np.float64), offset_N)
    p = expit(found @ inputs_PN + offset_N)
    inverse = np.linalg.inv((inputs_PN * (p * (1 - p))) @ inputs_PN.T)
    by_film = inverse[0] @ inputs_PN * (scores.labels - p)
    value, by_patient = float(found[0]), np.bincount(scores.patient_of, by_film)
    half_width = Influence(value, by_patient.astype(np.float64)).half_width()
    return {"value": value, "ci_low": value - half_width, "ci_high": value + half_width}


def reliability_bins(scores: Scores) -> list[JsonDict]:
    """Return the bins of the ECE: `low` and `high` probability, their mean, and the share with
    pneumonia."""
    rows, starts = equal_mass_bins(scores.probabilities)
    bins = []
    for members in np.split(rows, starts[1:]):
        stated = scores.probabilities[members]
        among = np.isin(np.arange(len(rows)), members)
        bins.append(
            {
                "n": len(members),
                "low": float(stated.min()),
                "high": float(stated.max()),
                "mean_probability": float(stated.mean()),
                "share_positive": asdict(shares(scores.positive[None], among, scores).figure()),
            }
        )
    return bins


def _at_own_prevalence(scores: Scores, known: float, params: EvaluateParams) -> JsonDict:
    """Return Brier score and ECE of the probabilities, moved to the share of pneumonia here."""
    own = float(scores.labels.mean())
    moved = replace(scores, probabilities=at_prevalence(scores.probabilities, known, own))
    draws = patient_weights(scores, params.num_draws, params.seed)
    return {
        "prevalence": own,
        "brier": asdict(brier(moved)),
        "ece": asdict(ece(moved, draws)),
    }
