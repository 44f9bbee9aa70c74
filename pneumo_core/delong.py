"""How the AUROC of one or several models varies with the films that were drawn.

DeLong, DeLong & Clarke-Pearson (1988): each film has a placement, its share of films of the other
class that it is rightly told from. With several films a patient the placements are summed over
patients (Obuchowski 1997), which with one each is DeLong's own estimate.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from pneumo_core.metrics import Floats, Scores


@dataclass(frozen=True)
class Influence:
    auroc: Floats  # of each model, [M]
    by_patient: Floats  # what each patient adds to a model's deviation from it, [M, K]


def influence(probabilities_MN: Floats, scores: Scores) -> Influence:
    """Of M models on the same films; `scores` says which films, its probabilities are not used."""
    ill = scores.ill
    num_ill, num_well = int(ill.sum()), int((~ill).sum())
    ranks = rankdata(probabilities_MN, axis=1)
    placement_MN = np.empty_like(ranks)
    placement_MN[:, ill] = (ranks[:, ill] - rankdata(probabilities_MN[:, ill], axis=1)) / num_well
    among_well = rankdata(probabilities_MN[:, ~ill], axis=1)
    placement_MN[:, ~ill] = 1 - (ranks[:, ~ill] - among_well) / num_ill
    auroc_M = placement_MN[:, ill].mean(1)
    deviation_MN = placement_MN - auroc_M[:, None]
    for of_class, count in ((ill, num_ill), (~ill, num_well)):
        num_patients = len(np.unique(scores.patient_of[of_class]))
        correction = np.sqrt(num_patients / max(num_patients - 1, 1))
        deviation_MN[:, of_class] *= correction / count
    by_patient = [np.bincount(scores.patient_of, row) for row in deviation_MN]
    return Influence(auroc_M, np.array(by_patient, np.float64))


def covariance(parts: Influence) -> Floats:
    """Of the models' AUROCs, [M, M]."""
    found: Floats = parts.by_patient @ parts.by_patient.T
    return found
