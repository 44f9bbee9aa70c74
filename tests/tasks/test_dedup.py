"""A picture under both labels, from the source's folder to the certificate."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pneumo_core.data import manifest
from pneumo_core.params import DedupParams, IngestParams, SplitParams, ValidateParams
from pneumo_core.sources import identity
from tasks import dedup, ingest, paths, split, validate

CONFLICT = ["test/NORMAL/both.png", "test/PNEUMONIA/both.png"]


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A folder of noise films, in which one test picture stands in both classes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    places = [
        *(f"train/NORMAL/IM-{i:04}-0001.png" for i in range(6)),
        *(f"train/PNEUMONIA/person{i}_virus_{i}.png" for i in range(6)),
        *(f"test/NORMAL/IM-{i:04}-0001.png" for i in range(10, 13)),
        *(f"test/PNEUMONIA/person{i}_virus_{i}.png" for i in range(10, 13)),
    ]
    pictures = {place: rng.integers(0, 256, (64, 64), np.uint8) for place in places}
    pictures |= dict.fromkeys(CONFLICT, rng.integers(0, 256, (64, 64), np.uint8))
    for place, pixels in pictures.items():
        path = tmp_path / "films" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return sorted(pictures)


def test_a_test_picture_under_both_labels_is_quarantined_and_counted(films: list[str]) -> None:
    ingest.run(IngestParams(source="films"))
    validate.run(ValidateParams(image_size_px=64))
    dedup.run(DedupParams())
    split.run(SplitParams(seed=0, val_per_class=2))
    names = identity.read(paths.NAMES)
    assert sorted(names["file"]) == films
    conflict = list(names.loc[names["file"].isin(CONFLICT), "image_id"])
    assert json.loads(paths.DUPLICATES.read_text())["label_conflicts"] == [conflict]
    table = manifest.read(paths.SPLIT).set_index("image_id")
    assert set(table.loc[conflict, "state"]) == {manifest.QUARANTINED}
    assert manifest.count(table, "state") == {"kept": len(films) - 2, "quarantined": 2}
    certificate = json.loads(paths.CERTIFICATE.read_text())
    assert (certificate["label_conflicts"], certificate["label_conflicts_in_use"]) == (1, 0)
    assert certificate["counts"]["test"] == {"NORMAL": 3, "PNEUMONIA": 3}
    assert certificate["lists"]["quarantined"].keys() == set(conflict)
