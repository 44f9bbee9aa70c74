"""What is left of a model's figures when its films are corrupted, by kind and severity."""

from dataclasses import asdict
from typing import Any

from pneumo_core.arrays import Floats, Images
from pneumo_core.audit.shortcuts import Cohort, Score, estimate
from pneumo_core.evaluation.corruptions import CORRUPTIONS, NUM_SEVERITIES, corrupt
from pneumo_core.metrics.metrics import Estimate, Scores, auroc, confusion, wilson
from pneumo_core.params import AuditParams
from pneumo_core.progress import track

CURVES = ("auroc", "accuracy", "sensitivity", "specificity")


def measure_robustness(
    score: Score, images: Images, cohort: Cohort, threshold: float, params: AuditParams
) -> dict[str, Any]:
    """66 passes over the films [N, H, W]; a hundred films are enough to see where it breaks.

    A kind of corruption has `by_severity`, its parameter at severities 1 to 5, and as many
    `figures`; `clean` are those of the same films as they are.
    """
    draws = cohort.draws(params)

    def figures(altered: Images) -> dict[str, Any]:
        found = curve_point(cohort.scores(score(altered)), threshold, draws)
        return {name: asdict(figure) for name, figure in found.items()}

    return {
        "n": len(images),
        "n_positive": int(cohort.labels.sum()),
        "threshold": threshold,
        "clean": figures(images),
        "corruptions": {
            name: {
                "parameter": corruption.parameter,
                "by_severity": list(corruption.by_severity),
                "figures": [
                    figures(corrupt(images, name, severity, params.seed))
                    for severity in range(1, NUM_SEVERITIES + 1)
                ],
            }
            for name, corruption in track(CORRUPTIONS.items(), "corrupt", unit="kind")
        },
    }


def curve_point(scores: Scores, threshold: float, draws_DN: Floats) -> dict[str, Estimate]:
    """The figures of `CURVES`; `draws_DN` are the bootstrap weights of the films."""
    c = confusion(scores, threshold)
    return {
        "auroc": estimate(lambda weights: auroc(scores, threshold, weights), draws_DN),
        "accuracy": wilson(c.tp + c.tn, len(scores.labels)),
        "sensitivity": wilson(c.tp, c.tp + c.fn),
        "specificity": wilson(c.tn, c.tn + c.fp),
    }
