"""Figures of a model on corrupted films, by kind of corruption and severity."""

from dataclasses import asdict
from typing import Any

from pneumo_core.arrays import Images
from pneumo_core.audit.shortcuts import Cohort, Predict
from pneumo_core.evaluation.corruptions import CORRUPTIONS, NUM_SEVERITIES, corrupt
from pneumo_core.metrics import intervals
from pneumo_core.metrics.metrics import Estimate, Scores
from pneumo_core.params import AuditParams
from pneumo_core.progress import track

CURVES = ("auroc", "accuracy", "sensitivity", "specificity")


def measure_robustness(
    predict: Predict, images: Images, cohort: Cohort, threshold: float, params: AuditParams
) -> dict[str, Any]:
    """Return the figures of the films [N, H, W] unaltered and under each corruption, in 66 passes.

    `clean` has the figures of the unaltered films. A corruption has `by_severity`, its parameter at
    severities 1 to 5, and `figures` in the same order. A hundred films show where a model fails.
    """

    def figures(altered: Images) -> dict[str, Any]:
        found = curve_point(cohort.scores(predict(altered)), threshold)
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


def curve_point(scores: Scores, threshold: float) -> dict[str, Estimate]:
    """Return the figures of `CURVES`, with intervals over patients."""
    found = intervals.at_threshold(scores, threshold) | {"auroc": intervals.auroc(scores)}
    return {name: found[name] for name in CURVES}
