"""Real films of adults with the table of their authors: who is in two splits, counted by name."""

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pneumo_core.data.leakage import patients_sentence, verdict
from pneumo_core.evaluation.any_source import certify_source
from pneumo_core.params import IngestParams
from pneumo_core.sources.opening import OpenedSource, open_source

ROOT = Path(__file__).parents[1]
ARCHIVE = ROOT.parent / "shared/data/nih_cxr8_224.zip"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ARCHIVE.is_file(), reason="the films of NIH are not beside the project"),
]

Rows = list[dict[str, str]]
Describe = Callable[..., OpenedSource]


@pytest.fixture(scope="module")
def nih(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive: its table and its images, as the description expects them."""
    folder = tmp_path_factory.mktemp("nih")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder / "nih"


@pytest.fixture(scope="module")
def rows(nih: Path) -> Rows:
    text = (nih / "Data_Entry_2017.csv").read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def describe(nih: Path, tmp_path: Path) -> Describe:
    """Writes a description made of `sources/nih.yaml` and opens it."""
    content = yaml.safe_load((ROOT / "sources" / "nih.yaml").read_text("utf-8"))
    content |= {"path": str(nih / "Data_Entry_2017.csv"), "root": str(nih)}

    def open_it(make: Callable[[dict[str, Any]], dict[str, Any]]) -> OpenedSource:
        path = tmp_path / "description.yaml"
        path.write_text(yaml.safe_dump(make(content)), "utf-8")
        return open_source(IngestParams(source=str(path)))

    return open_it


def _number(name: str) -> str:
    return name.partition("_")[0]


def test_ap_and_pa_as_two_origins_share_patients(describe: Describe, rows: Rows) -> None:
    def two(content: dict[str, Any]) -> dict[str, Any]:
        sources = {
            name: content | {"where": {"view": [view]}, "split": split}
            for name, view, split in (("ap", "AP", "train"), ("pa", "PA", "test"))
        }
        return {"kind": "several", "sources": sources}

    found = certify_source(describe(two))
    of_view = {
        view: [_number(row["Image Index"]) for row in rows if row["View Position"] == view]
        for view in ("AP", "PA")
    }
    shared = sum(number in of_view["AP"] for number in of_view["PA"])
    assert shared == 30  # films of 24 patients
    assert found["patients"]["confirmed_across_splits"] == shared
    assert patients_sentence(found) == "Patient known for 449 of 449 films by nih (305 patients)"
    assert verdict(found).startswith("not valid")
    assert not found["valid"]


def test_a_split_at_random_shares_patients(describe: Describe, nih: Path, rows: Rows) -> None:
    draw = np.random.default_rng(0)
    split_of = {row["Image Index"]: "test" if draw.random() < 0.25 else "train" for row in rows}
    lines = [f"{name},{split}" for name, split in split_of.items()]
    (nih / "splits.csv").write_text("\n".join(["Image Index,split", *lines]))
    join = {"path": str(nih / "splits.csv"), "by": "Image Index"}
    found = certify_source(describe(lambda content: content | {"join": join}))
    in_train = {_number(name) for name, split in split_of.items() if split == "train"}
    in_test = [_number(name) for name, split in split_of.items() if split == "test"]
    shared = sum(number in in_train for number in in_test)
    assert shared > 20
    assert found["patients"]["confirmed_across_splits"] == shared
    assert not found["valid"]
