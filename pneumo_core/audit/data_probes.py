"""Probes of the data: which cue of a file, a film or its metadata tells the label by itself?

Each probe is cross-validated over patients. Augmentation has no part in it: what is found here was
in the films before, and a model may learn it.
"""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.arrays import Floats, Stack
from pneumo_core.audit.shortcut_probes import linear_probe, probe
from pneumo_core.audit.shortcuts import Check, Cohort
from pneumo_core.data import manifest
from pneumo_core.data.film_statistics import NAMES, film_statistics
from pneumo_core.metrics import intervals
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.params import AuditParams

PICTURE = {
    "brightness": ("mean",),
    "contrast": ("std",),
    "borders": tuple(name for name in NAMES if name.startswith(("border", "corner"))),
    "sharpness": ("sharpness",),
}
FILE = ("colour_mode", "file_bytes", "jpeg_quality")
MAX_VALUES = 50  # of a column of metadata: a rarer one counts as other


def probe_data(table: pd.DataFrame, images: Stack, limits: AuditParams) -> list[Check]:
    """Return an AUROC for each cue of the films kept in train and validation; test is not read."""
    kept = manifest.kept(table)
    kept = kept[kept["split"] != "test"]
    drawn = kept.sample(min(limits.num_augmented_films, len(kept)), random_state=limits.seed)
    drawn = drawn.sort_index()
    cohort = Cohort.of(drawn)
    cues = _of_pictures(images, drawn) | {
        name: _encoded(drawn[name]) for name in (*FILE, *manifest.metadata_columns(drawn))
    }

    def measure(features: Floats) -> tuple[Estimate, dict[str, Any]]:
        scores = probe(linear_probe(), features, cohort, limits.seed)
        return intervals.auroc(scores), {"num_films": len(drawn)}

    return [
        Check(
            f"{name}_auroc",
            "data",
            f"AUROC of {name.removeprefix(manifest.METADATA)} alone",
            limits.max_cue_auroc,
        ).measured(partial(measure, features))
        for name, features in cues.items()
        if len(np.unique(features, axis=0)) > 1  # one value for all films tells nothing
    ]


def _of_pictures(images: Stack, films: pd.DataFrame) -> dict[str, Floats]:
    statistics = film_statistics(images[films["packed_row"].to_numpy(np.int64)])
    columns = dict(zip(NAMES, statistics.T, strict=True))
    return {cue: np.stack([columns[name] for name in names], 1) for cue, names in PICTURE.items()}


def _encoded(column: pd.Series) -> Floats:
    """Return numbers as they are, else a column for each value; unknown is a value too."""
    known = column.dropna()
    numbers = pd.to_numeric(known, errors="coerce").astype(float)
    if len(known) and numbers.notna().all() and numbers.nunique() > 2:
        filled = numbers.reindex(column.index).fillna(numbers.median())
        with_unknown: Floats = np.c_[filled.to_numpy(), column.isna().to_numpy(float)]
        return with_unknown
    frequent = known.value_counts().index[:MAX_VALUES]
    values = column.astype("string").where(column.isin(frequent) | column.isna(), "other")
    encoded: Floats = pd.get_dummies(values, dummy_na=True).to_numpy(float)
    return encoded
