"""The names of films that were not ingested: of an external set, or of a folder of a user."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pandas as pd

from pneumo_core.errors import SourceError
from pneumo_core.labels import UNSPLIT
from pneumo_core.sources import collect, identity
from pneumo_core.sources.patient_rules import named
from pneumo_core.sources.source import SourceFile
from tasks.stores.sources import open_by_project


def of_source(source: str, split: str, patients: str | None) -> pd.DataFrame:
    """Return the names of a split's films, as `identity.read` does.

    Raises:
        SourceError: the source's files cannot be listed, or it has no such split.
    """
    files = named(open_by_project(source, patients).files())
    files = [file for file in files if split in (UNSPLIT, file.split)]
    if not files:
        raise SourceError(f"The source has no split {split!r}.")
    with ThreadPoolExecutor(collect.NUM_READERS) as pool:
        rows = pool.map(lambda file: collect.describe(file) | {"sha256": _sha256(file)}, files)
        return identity.called_by_content(pd.DataFrame(list(rows)))


def _sha256(file: SourceFile) -> str | None:
    try:
        return hashlib.sha256(collect.read(file)).hexdigest()
    except OSError:
        return None
