"""Copies found, marked and reported."""

from dataclasses import asdict

from pneumo_core import manifest
from pneumo_core.atomic import write_json
from pneumo_core.duplicates import find_duplicates, remove_duplicates
from pneumo_core.packed import PackedImages
from pneumo_core.params import DedupParams
from tasks import places


def run(params: DedupParams) -> None:
    table = manifest.read(places.VALIDATED)
    found = find_duplicates(
        table,
        PackedImages.open(places.IMAGES),
        lambda path: (places.RAW / path).read_bytes(),
        params,
    )
    cleaned = remove_duplicates(table, found)
    removed = cleaned[cleaned["state"] == manifest.DUPLICATE]
    write_json(places.DUPLICATES, asdict(found))
    manifest.write(cleaned, places.DEDUPLICATED)
    print(
        f"dedup: {len(removed)} duplicates removed, {len(found.near)} near-duplicate groups, "
        f"{len(found.across_splits)} groups across splits"
    )
