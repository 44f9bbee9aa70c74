"""The shortcut audit beside each recipe of a comparison."""

import numpy as np
import pandas as pd

from pneumo_core.arrays import Stack
from pneumo_core.audit.audit import cohort_of
from pneumo_core.audit.counterfactuals import audit_model, read_altered
from pneumo_core.audit.shortcut_probes import augmented_gain
from pneumo_core.audit.shortcuts import Cohort
from pneumo_core.data import manifest
from pneumo_core.experiments.comparison import THRESHOLD
from pneumo_core.experiments.trials import Trial
from pneumo_core.params import AuditParams


def audit_trial(
    trial: Trial, table: pd.DataFrame, images: Stack, params: AuditParams
) -> dict[str, float]:
    """Return the figures of the checks that can be computed, and how many are beyond the limit."""
    rows = np.random.default_rng(params.seed).permutation(len(trial.films.labels))
    rows = np.sort(rows[: params.num_augmented_films])
    cohort = Cohort(trial.films.labels[rows], trial.patients[rows])
    augmented = np.asarray(trial.films.images[rows])
    checks = augmented_gain(trial.before[rows], augmented, cohort, params)
    val = manifest.kept(table, "val")
    val = val.sample(min(params.num_films, len(val)), random_state=params.seed)
    films = images[val["packed_row"].to_numpy(np.int64)]
    readings = read_altered(
        trial.score, films, cohort_of(val, val["patient_group"].to_numpy(np.str_)), THRESHOLD
    )
    checks += audit_model(readings, params)
    found = {check.name: check.figure.value for check in checks if check.figure is not None}
    return found | {"checks_beyond": float(sum(check.passed is False for check in checks))}
