"""Great Expectations over the manifest: what is wrong is found, and by name."""

from pathlib import Path

import pandas as pd
import pytest

from pneumo_core.data import manifest
from pneumo_core.labels import LABELS
from pneumo_core.params import ValidateParams
from tasks import expectations

pytestmark = pytest.mark.slow


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        {
            "image_id": f"{split}/{label}/{number}.jpeg",
            "path": f"{split}/{label}/{number}.jpeg",
            "origin": "test",
            "source_split": split,
            "split": split,
            "label": label,
            "patient_group": f"{label}{number}",
            "patient_rule": "unknown",
            "file_bytes": 1000,
            "patient_key": f"{label}{number}",
            "sha256": "a" * 64,
            "pixel_sha256": "b" * 64,
            "width_px": 200,
            "height_px": 100,
            "std": 40.0,
            "state": manifest.KEPT,
        }
        for split in ("train", "test")
        for label in LABELS
        for number in range(10)
    ]
    return manifest.conform(pd.DataFrame(rows))


def check(table: pd.DataFrame, folder: Path) -> dict[str, object]:
    return expectations.check(table, ValidateParams(image_size_px=64), folder)


def test_good_data_breaks_nothing_and_has_its_pages(table: pd.DataFrame, tmp_path: Path) -> None:
    result = check(table, tmp_path)
    assert result["success"]
    assert result["broken"] == []
    assert (tmp_path / "index.html").is_file()
    assert result == check(table, tmp_path)


def test_what_is_broken_is_named_with_its_rows(table: pd.DataFrame, tmp_path: Path) -> None:
    table.loc[3, "label"] = "COVID"
    table.loc[7, "sha256"] = "not a hash"
    table.loc[table["split"] == "test", "label"] = "NORMAL"
    result = check(table, tmp_path)
    broken = "; ".join(map(str, result["broken"]))
    assert not result["success"]
    wrong = table.at[3, "image_id"]
    assert f"be_in_set of label among every file (1 rows: {wrong})" in broken
    assert str(table.at[7, "image_id"]) in broken
    assert "distinct_values_to_contain_set of label among test" in broken
