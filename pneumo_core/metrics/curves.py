"""Points of the curves that the report and DVC's plots draw."""

import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from pneumo_core.metrics.metrics import Scores


def roc(scores: Scores) -> pd.DataFrame:
    """Return false_positive_rate and sensitivity, 0..1, from the highest threshold down."""
    false_positive_rate, sensitivity, _ = roc_curve(scores.labels, scores.probabilities)
    return pd.DataFrame({"false_positive_rate": false_positive_rate, "sensitivity": sensitivity})


def precision_recall(scores: Scores) -> pd.DataFrame:
    """Return sensitivity (recall) and precision, 0..1, from the lowest threshold up."""
    precision, sensitivity, _ = precision_recall_curve(
        scores.labels, scores.probabilities, drop_intermediate=True
    )
    return pd.DataFrame({"sensitivity": sensitivity, "precision": precision})
