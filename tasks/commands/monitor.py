"""Compare new films with the training data of the model in use; not a stage."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pneumo_core.atomic import write_json
from pneumo_core.data import manifest
from pneumo_core.evaluation.any_source import inventory_of
from pneumo_core.evaluation.reference import Reference, one_per_patient
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.inference.drift import (
    MIN_PATIENTS,
    Findings,
    compare,
    figures_of_reference,
    measure,
)
from pneumo_core.labels import LABELS
from pneumo_core.params import Params
from pneumo_core.report import drift_page
from pneumo_core.report.drift_page import Distributions
from pneumo_core.report.files import write_pages
from pneumo_core.sources import collect
from pneumo_core.sources.erased import LEFT_OUT, ErasedFilmError, without_erased
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import SourceFile
from pneumo_core.sources.unlabelled import UnlabelledFolder, holds_labelled_films
from tasks import erased_list, paths
from tasks.stores.sources import open_source

NAME = "monitor"  # of the pages and of the JSON file


def run(source: str, bundle: Path, model: str, params: Params, out: Path) -> Findings:
    """Write the comparison as a page in two languages and as JSON into `out`, and return it.

    Args:
        model: the bundle in words, for the page.

    Raises:
        DataError: nothing was ingested here yet, so no film is new.
        SourceError: the source's files cannot be listed.
        BundleError: the bundle is incomplete or altered.
    """
    notes = Notes()
    files = _files(source, params, notes)
    new = _unseen(files, set(manifest.read(paths.INGESTED)["sha256"].dropna()), notes)
    scorer, reference = Scorer.load(bundle), Reference.of_bundle(bundle)
    drift_reference = figures_of_reference(reference)
    with inventory_of(new, scorer.description.image_size_px) as (table, images):
        films = manifest.kept(table).drop_duplicates("pixel_sha256")
        compared = one_per_patient(films)
        pixels = images[compared["packed_row"].to_numpy(np.int64)]
    later = None
    if len(compared) >= MIN_PATIENTS:
        logits, features = scorer.predict(pixels)
        later = measure(reference, compared, pixels, features, scorer.probabilities(logits))
    faults = table.loc[table["state"] == manifest.QUARANTINED, "reason"]
    findings = Findings(
        source=source,
        model=model,
        num_files=len(files),
        num_new=len(new),
        num_erased=notes.counts().get(LEFT_OUT, 0),
        num_quarantined=len(faults),
        num_labelled=int(films["label"].isin(LABELS).sum()),
        num_patients=len(compared),
        num_reference=len(drift_reference),
        comparisons=() if later is None else tuple(compare(drift_reference, later, params.monitor)),
        params=params.monitor,
        is_ingested=source == params.ingest.source,
        max_quarantined_fraction=params.validation.max_quarantined_fraction,
        main_fault=str(faults.mode().iloc[0]) if len(faults) else "",
    )
    write_json(out / f"{NAME}.json", findings.as_json())
    drawn = None if later is None else Distributions(drift_reference, later)
    write_pages(out, NAME, lambda words: drift_page.write(findings, drawn, words))
    return findings


def _files(source: str, params: Params, notes: Notes) -> list[SourceFile]:
    """Return the films without those of erased patients, which the notes count."""
    folder = Path(source)
    if folder.is_dir() and not holds_labelled_films(folder):
        return without_erased(UnlabelledFolder(folder).files(), erased_list.read(), notes)
    opened = open_source(params.ingest.model_copy(update={"source": source}))
    files = opened.files()
    notes.count(LEFT_OUT, opened.notes.counts().get(LEFT_OUT, 0))
    return files


def _unseen(files: list[SourceFile], known: set[str], notes: Notes) -> list[SourceFile]:
    """Return the files whose bytes ingest has not seen, nor an erasure."""

    def is_new(file: SourceFile) -> bool | None:
        """Return None for a film of an erased patient."""
        try:
            return hashlib.sha256(collect.read(file)).hexdigest() not in known
        except ErasedFilmError:
            return None
        except OSError:
            return True  # it is quarantined later

    with ThreadPoolExecutor(collect.NUM_READERS) as pool:
        answers = list(pool.map(is_new, files))
    notes.count(LEFT_OUT, answers.count(None))
    return [file for file, new in zip(files, answers, strict=True) if new]
