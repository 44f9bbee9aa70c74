from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from pneumo_core.data.manifest import DUPLICATE, KEPT
from pneumo_core.report.findings import Findings


def _rows(num: int, **columns: Any) -> list[dict[str, Any]]:
    state = {"state": KEPT, "origin": "zip", "source_split": "train", "split": "train"}
    return [state | columns] * num


@pytest.fixture
def archive_like(twelve: Any) -> Findings:
    """The counts of the whole public archive, as the study has them."""
    normal, pneumonia = {"label": "NORMAL"}, {"label": "PNEUMONIA"}
    rows = _rows(1, **normal, state=DUPLICATE) + _rows(25, **pneumonia, state=DUPLICATE)
    rows += _rows(500, **normal, split="val") + _rows(840, **normal)
    rows += _rows(500, **pneumonia, split="val") + _rows(3350, **pneumonia)
    rows += _rows(8, **normal, split="val", source_split="val")
    rows += _rows(8, **pneumonia, split="val", source_split="val")
    for label, kept in ((normal, 231), (pneumonia, 387)):
        test = {"split": "test", "source_split": "test"}
        rows += _rows(3, **label, **test, state=DUPLICATE) + _rows(kept, **label, **test)
    augmented = {"NORMAL": 5850, "PNEUMONIA": 5850}
    data = replace(twelve.found.data, table=pd.DataFrame(rows), num_augmented=augmented)
    return replace(twelve.found, data=data)
