"""The public archive: what must be found in it, to the last film."""

import hashlib
import io
import re
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pneumo_core.data import manifest
from pneumo_core.evaluation.any_source import certify_source
from pneumo_core.params import AugmentParams, DedupParams, IngestParams, SplitParams, ValidateParams
from pneumo_core.preparation.augmentation import plan
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import find_duplicates, remove_duplicates
from pneumo_core.preparation.inventory import take_inventory
from pneumo_core.preparation.splits import enlarge_validation
from pneumo_core.sources.archive import ZipSource
from pneumo_core.sources.collect import collect


def test_counts_of_the_archive(archive: Path, tmp_path: Path) -> None:
    source = ZipSource(archive, IngestParams(source=str(archive)))
    table = collect(source.files(), tmp_path / "raw")

    def read(path: str) -> bytes:
        return (tmp_path / "raw" / path).read_bytes()

    limits = ValidateParams(image_size_px=224)
    table, images = take_inventory(table, read, limits, tmp_path / "packed")
    found = find_duplicates(table, images, read, DedupParams())
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
    certificate = certify(table, found)
    assert certificate["valid"]
    assert certificate["counts"]["test"] == {"NORMAL": 116, "PNEUMONIA": 193}
    assert certificate["patients"]["confirmed_across_splits"] == 0
    groups = {split: set(films["patient_group"]) for split, films in kept.groupby("split")}
    assert not groups["train"] & groups["val"]

    copies = plan(table, AugmentParams(seed=0, recipe="symmetric", size_per_class=5850))
    assert manifest.count(copies, "label") == {"NORMAL": 5850, "PNEUMONIA": 5850}
    assert np.array_equal(
        np.sort(copies["image_id"].unique()), sorted(kept[kept["split"] == "train"]["image_id"])
    )


def test_certificate_of_the_archive_as_it_is(archive: Path) -> None:
    found = certify_source(ZipSource(archive, IngestParams(source=str(archive))))
    assert found["valid"]
    assert found["counts"] == {
        "train": {"NORMAL": 1341, "PNEUMONIA": 3875},
        "val": {"NORMAL": 8, "PNEUMONIA": 8},
        "test": {"NORMAL": 117, "PNEUMONIA": 194},
    }
    assert found["exact_duplicates"] == {
        "groups": 26,
        "extra_files": 28,
        "groups_across_splits": 0,
    }
    assert found["near_duplicates"]["groups"] == 0
    assert found["patients"] == {
        "films": 5543,
        "known": 5543,
        "num_patients": 3876,
        "rules": {"kermany": 5543},
        "confirmed_across_splits": 0,
        "possible_across_splits": 161,
    }


@pytest.fixture(scope="module")
def reshuffled(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every film in a split drawn by lot, as in the results over 98 %; 30 test films come a second
    time, re-encoded and a little smaller, in train, and 5 under the other label."""
    path = tmp_path_factory.mktemp("reshuffled") / "archive.zip"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        names = sorted(name for name in old.namelist() if name.endswith(".jpeg"))
        splits = rng.choice(["train", "val", "test"], len(names), p=[0.8, 0.1, 0.1])
        for name, split in zip(names, splits, strict=True):
            label, film = name.split("/")[-2:]
            new.writestr(f"{split}/{label}/{film}", old.read(name))
        planted = rng.permutation(
            [n for n, split in zip(names, splits, strict=True) if split == "test"]
        )
        for number, name in enumerate(map(str, planted[:30])):
            label, film = name.split("/")[-2:]
            image = Image.open(io.BytesIO(old.read(name)))
            buffer = io.BytesIO()
            image.resize((205, 211)).save(buffer, "JPEG", quality=60)
            new.writestr(f"train/{label}/planted{number}.jpeg", buffer.getvalue())
        for number, name in enumerate(map(str, planted[30:35])):
            other = {"NORMAL": "PNEUMONIA", "PNEUMONIA": "NORMAL"}[name.split("/")[-2]]
            new.writestr(f"train/{other}/turned{number}.jpeg", old.read(name))
    return path


def test_certificate_finds_every_leak_of_a_reshuffled_archive(reshuffled: Path) -> None:
    """Counted here from names and bytes alone, without the code under test."""
    by_content, keys = defaultdict(list), {"confirmed": r"(person\d+_[a-z]+|.*IM-\d+)"}
    keys["possible"] = r"(person\d+|.*IM-\d+)"
    with zipfile.ZipFile(reshuffled) as archive:
        for name in archive.namelist():
            by_content[hashlib.md5(archive.read(name)).hexdigest()].append(name)
        names = archive.namelist()
        name_of = {hashlib.sha256(archive.read(name)).hexdigest()[:16]: name for name in names}
    groups = [group for group in by_content.values() if len(group) > 1]
    crossing = [group for group in groups if len({name.split("/")[0] for name in group}) > 1]

    found = certify_source(ZipSource(reshuffled, IngestParams(source=str(reshuffled))))
    assert found["exact_duplicates"] == {
        "groups": len(groups),
        "extra_files": sum(len(group) - 1 for group in groups),
        "groups_across_splits": len(crossing),
    }
    assert found["label_conflicts"] == 5
    near = {film for group in found["lists"]["near_duplicates_across_splits"] for film in group}
    named = {name_of[film.split("-")[0]] for film in near}
    assert {name.split("/")[-1] for name in named if "planted" in name} == {
        f"planted{number}.jpeg" for number in range(30)
    }
    assert found["near_duplicates"]["groups_across_splits"] == 30
    for strength, pattern in keys.items():
        films = pd.DataFrame(
            [name.split("/") for name in names], columns=["split", "label", "name"]
        )
        films["patient"] = [
            match[0] if (match := re.match(pattern, name)) else name for name in films["name"]
        ]
        held = films.groupby("split")["patient"].agg(set)
        linked = sum(films[films["split"] == "val"]["patient"].isin(held["train"]))
        linked += sum(films[films["split"] == "test"]["patient"].isin(held["train"] | held["val"]))
        assert found["patients"][f"{strength}_across_splits"] == linked > 200
    assert not found["valid"]
    assert len(found["faults"]) == 4
