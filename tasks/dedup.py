"""Find duplicates and label conflicts, mark them in the manifest and report them."""

from dataclasses import asdict

from pneumo_core.atomic import write_json
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.params import DedupParams
from pneumo_core.preparation.duplicates import find_duplicates, remove_duplicates
from tasks import paths


def run(params: DedupParams) -> None:
    table = manifest.read(paths.VALIDATED)
    found = find_duplicates(
        table,
        PackedImages.open(paths.IMAGES),
        lambda path: (paths.RAW / path).read_bytes(),
        params,
        paths.SEARCHED,
    )
    cleaned = remove_duplicates(table, found)
    removed = cleaned[cleaned["state"] == manifest.DUPLICATE]
    write_json(paths.DUPLICATES, asdict(found))
    manifest.write(cleaned, paths.DEDUPLICATED)
    print(
        f"dedup: {len(removed)} duplicates removed, {len(found.near)} near-duplicate groups, "
        f"{len(found.across_splits)} groups across splits, "
        f"{len(found.label_conflicts)} pictures with both labels"
    )
