"""Validation enlarged by whole patients."""

from pneumo_core import manifest
from pneumo_core.atomic import write_json
from pneumo_core.params import SplitParams
from pneumo_core.splits import enlarge_validation
from tasks import places


def run(params: SplitParams) -> None:
    table = enlarge_validation(manifest.read(places.DEDUPLICATED), params)
    films = manifest.kept(table)
    groups = {split: set(rows["patient_group"]) for split, rows in films.groupby("split")}
    write_json(
        places.SPLIT_SUMMARY,
        {
            "films": manifest.count(films, "split", "label"),
            "states": manifest.count(table, "state"),
            "patient_groups_in_train_and_val": len(groups["train"] & groups["val"]),
            "patient_groups_possibly_in_train_and_test": len(groups["train"] & groups["test"]),
        },
    )
    manifest.write(table, places.SPLIT)
    print(f"split: {manifest.count(films, 'split', 'label')}")
