"""Films from outside the pipeline, measured and scored by its rules."""

import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pneumo_core.arrays import Bools, Images
from pneumo_core.atomic import replacing_file, write_json
from pneumo_core.data import manifest
from pneumo_core.data.leakage import BY_NOBODY, BY_SOURCE, Certificate
from pneumo_core.data.packed import PackedImages
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.evaluation import as_predictions, as_scores, write_evaluation
from pneumo_core.evaluation.reference import Reference
from pneumo_core.evaluation.scoring import Features, Scorer
from pneumo_core.labels import UNSPLIT
from pneumo_core.metrics.dimensions import MEASURED, NAMED
from pneumo_core.metrics.intervals import shares
from pneumo_core.models.bundle import Description
from pneumo_core.params import DedupParams, EvaluateParams, ValidateParams
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import Duplicates, find_duplicates, remove_duplicates
from pneumo_core.preparation.inventory import take_inventory
from pneumo_core.sources import collect, erased, identity
from pneumo_core.sources.metadata import STANDARD
from pneumo_core.sources.patient_rules import named
from pneumo_core.sources.source import Source, SourceFile

CERTIFIED_SIZE_PX = 224  # at which the films of a certificate are compared


@dataclass(frozen=True)
class FilmSet:
    listed: pd.DataFrame  # the manifest before duplicates are removed, with `identity.NAMES`
    films: pd.DataFrame  # the manifest after it; `packed_row` counts in `images`
    images: Images  # of the kept films


@dataclass(frozen=True)
class Scored:
    predictions: pd.DataFrame
    films: pd.DataFrame  # the manifest of the split; `packed_row` counts in `images`
    images: Images  # of the kept films
    features: Features  # of the same films
    refused: Bools  # those that the service would refuse as unlike the training films


def evaluate_source(
    scorer: Scorer,
    reference: Reference,
    source: Source,
    split: str,
    folder: Path,
    params: EvaluateParams,
) -> dict[str, Any]:
    """Score one split of any labelled source without the pipeline, and return the metrics.

    Beside them are `states`, the number of files in each state, and `num_trained_on`, the number of
    films from which the model learned (None: an older bundle does not know).

    Raises as `read_split` does, and EvaluationError if too few films of a class are left.
    """
    scored = score_source(scorer, reference, source, split)
    metrics = write_scored(folder, scored, scorer.description, split, params)
    write_films(folder, scored.films)
    trained_on = reference.num_trained_on(manifest.kept(scored.films)["pixel_sha256"])
    states = manifest.count(scored.films, "state")
    return metrics | {"states": states, "num_trained_on": trained_on}


def write_scored(
    folder: Path, scored: Scored, description: Description, split: str, params: EvaluateParams
) -> dict[str, Any]:
    """Write an evaluation whose `metrics.json` also has `refused`: {n, share: figure}."""
    metrics = write_evaluation(folder, scored.predictions, description, split, params)
    everyone = np.ones(len(scored.refused), bool)
    share = shares(scored.refused[None], everyone, as_scores(scored.predictions)).figure()
    metrics["refused"] = {"n": int(scored.refused.sum()), "share": asdict(share)}
    write_json(folder / "metrics.json", metrics)
    return metrics


def write_films(folder: Path, films: pd.DataFrame) -> None:
    """Write `films.csv` with the state of each file."""
    with replacing_file(folder / "films.csv") as draft:
        columns = ["image_id", "label", "state", "reason", "duplicate_of"]
        films[columns].to_csv(draft, index=False)


def score_source(scorer: Scorer, reference: Reference, source: Source, split: str) -> Scored:
    """Return the predictions for one split, by the rules of the pipeline.

    Raises as `read_split` does.
    """
    return score(scorer, reference, read_split(source, split, scorer.description.image_size_px))


def read_split(source: Source, split: str, size_px: int) -> FilmSet:
    """Return the films of one split, or of all splits together for `UNSPLIT`.

    Files that cannot be decoded are quarantined, and of films with the same pixels one is kept.

    Raises:
        SourceError: the source's files cannot be listed.
        EvaluationError: it has no such split, or none of its films can be used.
    """
    listed = source.files()
    files = [file for file in listed if split in (UNSPLIT, file.split)]
    if not files:
        splits = ", ".join(sorted({file.split for file in listed})) or "no files"
        hint = f" Give --split {UNSPLIT} for all its films." if splits == UNSPLIT else ""
        raise EvaluationError(f"The source has no split {split!r}, only {splits}.{hint}")
    with _inspect(files, size_px, split) as (table, packed, found):
        films = remove_duplicates(table, found)
        kept = manifest.kept(films)
        if kept.empty:
            reason = films["reason"].mode().iloc[0]
            raise EvaluationError(
                f"None of the {len(films)} files can be used; most often: {reason}."
            )
        images = packed[kept["packed_row"].to_numpy(np.int64)]
    films["packed_row"] = pd.Series(range(len(kept)), kept.index, "Int64")
    return FilmSet(table, films, images)


def score(scorer: Scorer, reference: Reference, film_set: FilmSet) -> Scored:
    """Return the predictions for films at the size of the model."""
    logits, features = scorer.predict(film_set.images)
    predictions = as_predictions(scorer, manifest.kept(film_set.films), logits)
    refused = reference.refuses(features)
    return Scored(predictions, film_set.films, film_set.images, features, refused)


def metadata_for(by: Collection[str]) -> tuple[str, ...]:
    """Return what a source must keep (`ingest.metadata`) for groups by these columns."""
    others = [name for name in by if name not in (*NAMED, *MEASURED)]
    return tuple(dict.fromkeys((*STANDARD, *others)))


def certify_source(source: Source) -> Certificate:
    """Return the certificate of the source as it is: nothing removed, nothing moved."""
    with _inspect(named(source.files()), CERTIFIED_SIZE_PX) as (table, _, found):
        origin = BY_NOBODY if UNSPLIT in set(table["split"]) else BY_SOURCE
        return certify(table, found, split_origin=origin)


@contextmanager
def _inspect(
    files: list[SourceFile], size_px: int, split: str | None = None
) -> Iterator[tuple[pd.DataFrame, PackedImages, Duplicates]]:
    """Yield the manifest before duplicates are removed, the films, and the duplicates.

    Args:
        split: in which all of the films are taken to be.
    """
    with inventory_of(files, size_px) as (table, images):
        if split is not None:
            table["split"] = table["source_split"] = split
        yield table, images, find_duplicates(table, images, _reader(files), DedupParams())


@contextmanager
def inventory_of(
    files: list[SourceFile], size_px: int
) -> Iterator[tuple[pd.DataFrame, PackedImages]]:
    """Yield the manifest of the files, with `identity.NAMES`, and the decoded films, packed.

    A film that is known by its bytes as one of an erased patient has no row.
    """
    rows = [collect.describe(file) for file in files]
    described = pd.DataFrame(rows, columns=None if rows else ["path", *identity.NAMES])
    places = described["path"]
    table = described.assign(image_id=places, patient_key=places, patient_group=places)
    limits = ValidateParams(image_size_px=size_px)
    with tempfile.TemporaryDirectory() as scratch:
        looked, images = take_inventory(
            manifest.conform(table), _reader(files), limits, Path(scratch)
        )
        looked = looked.assign(**{name: described[name] for name in identity.NAMES})
        is_erased = looked["reason"].eq(erased.REASON).fillna(False)
        yield identity.called_by_content(looked[~is_erased].reset_index(drop=True)), images


def _reader(files: list[SourceFile]) -> Callable[[str], bytes]:
    file_of = {file.place: file for file in files}
    return lambda path: collect.read(file_of[path])
