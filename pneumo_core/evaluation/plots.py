"""The tables that DVC's plots draw, all of test: curves of all cells, details of the best one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.labels import LABELS
from pneumo_core.metrics import curves
from pneumo_core.metrics.paired import Reading


def plot_tables(
    readings: Mapping[str, Reading], best: str, metrics: Mapping[str, Any]
) -> dict[str, pd.DataFrame]:
    """Return a table for each plot, by its file; `metrics` are those of the best cell."""
    return {
        "roc": _all_cells({cell: curves.roc(each.scores) for cell, each in readings.items()}),
        "precision_recall": _all_cells(
            {cell: curves.precision_recall(each.scores) for cell, each in readings.items()}
        ),
        "reliability": pd.DataFrame(
            {
                "mean_probability": each["mean_probability"],
                "share_with_pneumonia": each["share_positive"]["value"],
            }
            for each in metrics["calibration"]["bins"]
        ),
        "confusion": _confusion(readings[best]),
        "operating_points": pd.DataFrame(
            {"figure": f"{name}: {figure}", "value": point[figure]["value"]}
            for name, point in metrics["operating_points"].items()
            for figure in ("sensitivity", "specificity")
        ),
    }


def _all_cells(table_of: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table.assign(cell=cell) for cell, table in table_of.items()])


def _confusion(reading: Reading) -> pd.DataFrame:
    labels = np.array(LABELS)
    model_says = reading.scores.reads(reading.threshold).astype(np.int64)
    return pd.DataFrame(
        {"film_is": labels[reading.scores.labels], "model_says": labels[model_says]}
    )
