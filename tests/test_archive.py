"""The public archive: what must be found in it, to the last film."""

from pathlib import Path

import numpy as np

from pneumo_core import manifest
from pneumo_core.augmentation import plan
from pneumo_core.duplicates import find_duplicates, remove_duplicates
from pneumo_core.inventory import take_inventory
from pneumo_core.params import (
    AugmentParams,
    DedupParams,
    IngestParams,
    SplitParams,
    ValidateParams,
)
from pneumo_core.raw import collect
from pneumo_core.sources.archive import ZipSource
from pneumo_core.splits import enlarge_validation


def test_counts_of_the_archive(archive: Path, tmp_path: Path) -> None:
    source = ZipSource(archive, IngestParams(source=str(archive)))
    table = collect(source, tmp_path)
    table, images = take_inventory(
        table, lambda path: (tmp_path / path).read_bytes(), ValidateParams(image_size_px=224)
    )
    found = find_duplicates(table, images, DedupParams())
    table = remove_duplicates(table, found)
    removed = table[table["state"] == manifest.DUPLICATE]
    assert manifest.count(removed, "source_split", "label") == {
        "test/NORMAL": 1,
        "test/PNEUMONIA": 1,
        "train/NORMAL": 1,
        "train/PNEUMONIA": 25,
    }
    assert found.across_splits == []
    assert found.label_conflicts == []

    table = enlarge_validation(table, SplitParams(seed=0, val_per_class=508))
    kept = manifest.kept(table)
    assert manifest.count(kept, "split", "label") == {
        "test/NORMAL": 116,
        "test/PNEUMONIA": 193,
        "train/NORMAL": 840,
        "train/PNEUMONIA": 3350,
        "val/NORMAL": 508,
        "val/PNEUMONIA": 508,
    }
    groups = {split: set(films["patient_group"]) for split, films in kept.groupby("split")}
    assert not groups["train"] & groups["val"]

    copies = plan(table, AugmentParams(seed=0, recipe="symmetric", size_per_class=5850))
    assert manifest.count(copies, "label") == {"NORMAL": 5850, "PNEUMONIA": 5850}
    assert np.array_equal(
        np.sort(copies["image_id"].unique()), sorted(kept[kept["split"] == "train"]["image_id"])
    )
