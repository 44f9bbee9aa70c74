"""Copies found, marked and reported."""

from dataclasses import asdict

import numpy as np

from pneumo_core import manifest
from pneumo_core.atomic import write_json
from pneumo_core.duplicates import find_duplicates, remove_duplicates
from pneumo_core.params import DedupParams
from tasks import places


def run(params: DedupParams) -> None:
    table = manifest.read(places.VALIDATED)
    found = find_duplicates(table, np.load(places.IMAGES, mmap_mode="r"), params)
    cleaned = remove_duplicates(table, found)
    removed = cleaned[cleaned["state"] == manifest.DUPLICATE]
    summary = {"removed": manifest.count(removed, "source_split", "label")} | asdict(found)
    write_json(places.DUPLICATES, summary)
    manifest.write(cleaned, places.DEDUPLICATED)
    print(
        f"dedup: {len(removed)} exact duplicates removed, {len(found.near)} near-duplicate groups, "
        f"{len(found.across_splits)} groups across splits"
    )
