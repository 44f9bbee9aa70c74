"""External sets: labelled films from elsewhere, read by trained models at their own thresholds.

A set is a folder:

    set.json
        files           count by state
        reasons         of quarantined files, counted
        patients        {films, known}: films that count, and those whose patient is known
        shared          by split: {films, patients} of the set that are in that split too; films
                        that look the same, whatever their size or file
        is_external     false: it shares a film or a patient
        cells           by model: bundle (its identity), drift (a list by `drift.FigureDrift`;
                        empty: too few patients)
    films.csv           the state of each file
    CELL/               each model's evaluation (`evaluation.evaluation`), with `refused`
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_core.arrays import Gray, Stack
from pneumo_core.atomic import JsonDict
from pneumo_core.data import manifest
from pneumo_core.evaluation.any_source import (
    FilmSet,
    Scored,
    read_split,
    score,
    write_films,
    write_scored,
)
from pneumo_core.evaluation.reference import Reference, one_per_patient
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.inference.drift import (
    MIN_PATIENTS,
    FigureDrift,
    compare,
    figures_of_reference,
    measure,
)
from pneumo_core.labels import SPLITS, UNSPLIT
from pneumo_core.models import bundle
from pneumo_core.params import DedupParams, EvaluateParams, MonitorParams
from pneumo_core.preparation.near_pairs import near_pairs
from pneumo_core.sources.patients import UNKNOWN
from pneumo_core.sources.source import Source


@dataclass(frozen=True)
class Own:
    """The pipeline's own films."""

    table: pd.DataFrame  # their manifest, with `identity.NAMES`
    images: Stack  # by its `packed_row`, of the size that the models read
    searched: Path  # what dedup remembers of them (`near_pairs`); read, not changed


def write_set(
    folder: Path,
    source: Source,
    own: Own,
    bundles: Mapping[str, Path],
    params: EvaluateParams,
    drift: MonitorParams,
) -> JsonDict:
    """Score a set by every model, whatever splits the source has; return the content of `set.json`,
    which the caller writes.

    Args:
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
    in_common = shared(film_set, own)
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
) -> list[FigureDrift]:
    """Return the comparison with the drift reference of a bundle; empty for too few patients."""
    films = one_per_patient(manifest.kept(scored.films))
    if len(films) < MIN_PATIENTS:
        return []
    rows = films["packed_row"].to_numpy(np.int64)
    probabilities = scored.predictions["probability"].to_numpy(np.float64)[rows]
    later = measure(reference, films, scored.images[rows], scored.features[rows], probabilities)
    return compare(figures_of_reference(reference), later, params)


def shared(film_set: FilmSet, own: Own) -> dict[str, dict[str, int]]:
    """Return by split what films of a set have in common with the pipeline's own.

    `films`: those that look like a film there; `patients`: possibly the same, by equal groups.
    """
    films, table = manifest.kept(film_set.listed), manifest.kept(own.table)
    groups = set(films["group"].dropna())
    alike = _alike(film_set, own)
    found = {}
    for split in SPLITS:
        there = table[table["split"] == split]
        pixels = set(there["pixel_sha256"])
        pixels |= set(alike.loc[alike["own"].isin(pixels), "theirs"])
        found[split] = {
            "films": int(films["pixel_sha256"].isin(pixels).sum()),
            "patients": len(groups & set(there["group"])),
        }
    return found


def _alike(film_set: FilmSet, own: Own) -> pd.DataFrame:
    """Return pairs of a film of the set and one of our own that look the same, by their pixels.

    Columns `theirs` and `own`: SHA-256 of the decoded pixels, which differ in each pair.
    """
    theirs = manifest.kept(film_set.films)
    theirs = theirs.assign(packed_row=theirs["packed_row"] + len(own.images))
    both = pd.concat([manifest.kept(own.table), theirs]).drop_duplicates("pixel_sha256")
    is_own = both["packed_row"].to_numpy(np.int64) < len(own.images)
    pixels = both["pixel_sha256"].to_numpy(np.str_)
    with tempfile.TemporaryDirectory() as scratch:
        memory = Path(scratch) / "searched.npz"
        if own.searched.is_file():
            shutil.copyfile(own.searched, memory)
        joined = _Joined(own.images, film_set.images)
        pairs = near_pairs(both.reset_index(drop=True), joined, DedupParams(), memory)
    mixed = pairs[is_own[pairs].sum(axis=1) == 1]
    ours, others = mixed[is_own[mixed]], mixed[~is_own[mixed]]
    return pd.DataFrame({"theirs": pixels[others], "own": pixels[ours]})


@dataclass(frozen=True)
class _Joined:
    """Two stacks of films of one size, one after the other, read film by film."""

    first: Stack
    second: Stack

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.first.shape[1:])

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, row: int) -> Gray:
        own = len(self.first)
        film: Gray = self.first[row] if row < own else self.second[row - own]
        return film
