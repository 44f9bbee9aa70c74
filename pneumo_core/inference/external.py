"""External sets: labelled films from elsewhere, read by trained models at their own thresholds.

A set is a folder:

    set.json
        files           count by state
        reasons         of quarantined files, counted
        patients        {films, known}: films that count, and those whose patient is known
        shared          by split: {films, patients} of the set that are in that split too
        is_external     false: it shares a film or a patient
        cells           by model: bundle (its identity), drift (a list by `drift.Comparison`;
                        empty: too few patients)
    films.csv           the state of each file
    CELL/               each model's evaluation (`evaluation.evaluation`), with `refused`
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_core.atomic import JsonDict
from pneumo_core.data import manifest
from pneumo_core.evaluation.any_source import (
    Scored,
    read_split,
    score,
    write_films,
    write_scored,
)
from pneumo_core.evaluation.reference import Reference, measure_films, one_per_patient
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.inference.drift import (
    MIN_PATIENTS,
    Comparison,
    compare,
    figures_of,
    figures_of_reference,
)
from pneumo_core.labels import SPLITS, UNSPLIT
from pneumo_core.models import bundle
from pneumo_core.params import EvaluateParams, MonitorParams
from pneumo_core.sources.patients import UNKNOWN
from pneumo_core.sources.source import Source


def write_set(
    folder: Path,
    source: Source,
    own: pd.DataFrame,
    bundles: Mapping[str, Path],
    params: EvaluateParams,
    drift: MonitorParams,
) -> JsonDict:
    """Score a set by every model, whatever splits the source has; return the content of `set.json`,
    which the caller writes.

    Args:
        own: the manifest of the pipeline's own films, with `patient_group` as it was ingested.
        bundles: by the model's name; all for films of one size.

    Raises:
        SourceError: the source's files cannot be listed.
        EvaluationError: a class is missing, or too few films of it can be used.
    """
    models = {
        name: (Scorer.load(path), Reference.of_bundle(path)) for name, path in bundles.items()
    }
    (size_px,) = {scorer.description.image_size_px for scorer, _ in models.values()}
    film_set = read_split(source, UNSPLIT, size_px)
    films = film_set.films
    kept = manifest.kept(films)
    cells = {}
    for name, (scorer, reference) in models.items():
        scored = score(scorer, reference, film_set)
        write_scored(folder / name, scored, scorer.description, UNSPLIT, params)
        cells[name] = {
            "bundle": bundle.identity(bundles[name]),
            "drift": [asdict(each) for each in compare_with_training(scored, reference, drift)],
        }
    write_films(folder, films)
    quarantined = films[films["state"] == manifest.QUARANTINED]
    in_common = shared(film_set.listed, own)
    return {
        "files": manifest.count(films, "state"),
        "reasons": manifest.count(quarantined, "reason"),
        "patients": {
            "films": len(kept),
            "known": int((kept["patient_rule"] != UNKNOWN).sum()),
        },
        "shared": in_common,
        "is_external": not any(any(counts.values()) for counts in in_common.values()),
        "cells": cells,
    }


def compare_with_training(
    scored: Scored, reference: Reference, params: MonitorParams
) -> list[Comparison]:
    """Return the comparison with the drift reference of a bundle; empty for too few patients."""
    films = one_per_patient(manifest.kept(scored.films))
    if len(films) < MIN_PATIENTS:
        return []
    rows = films["packed_row"].to_numpy(np.int64)
    features = scored.features[rows]
    later = figures_of(
        measure_films(scored.images[rows], films["width_px"], films["height_px"]),
        reference.project(features),
        reference.ood_score(features),
        scored.predictions["probability"].to_numpy(np.float64)[rows],
    )
    return compare(figures_of_reference(reference), later, params)


def shared(films: pd.DataFrame, own: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return by split what films of a set have in common with the pipeline's own.

    `films`: those with the pixels of a film there; `patients`: possibly the same, by equal groups.
    """
    films, own = manifest.kept(films), manifest.kept(own)
    groups = films.loc[films["patient_group"] != films["image_id"], "patient_group"]
    found = {}
    for split in SPLITS:
        there = own[own["split"] == split]
        found[split] = {
            "films": int(films["pixel_sha256"].isin(there["pixel_sha256"]).sum()),
            "patients": len(set(groups) & set(there["patient_group"])),
        }
    return found
