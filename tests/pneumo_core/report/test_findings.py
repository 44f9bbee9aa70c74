from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from pneumo_core.report.findings import ARCHIVE, DataFindings


@pytest.fixture
def archive(made: Any) -> DataFindings:
    rows = [
        {"source_split": split, "label": label}
        for split in ("train", "test")
        for label in ("NORMAL", "PNEUMONIA")
        for _ in range(ARCHIVE[f"{split}/{label}"])
    ]
    return replace(made.found.data, table=pd.DataFrame(rows))


def test_the_archive_is_known_by_its_published_counts(made: Any, archive: DataFindings) -> None:
    assert archive.is_public_archive
    assert archive.has_all_of_archive("test")
    assert archive.num_files("test") == 624
    one_less = replace(archive, table=archive.table.iloc[:-1])
    assert one_less.is_public_archive
    assert not one_less.has_all_of_archive("test")
    assert not made.found.data.is_public_archive


def test_the_mean_of_both_validations_chooses(made: Any) -> None:
    cell = replace(
        made.found.winner, val={"auroc": {"value": 0.9}}, shifted={"auroc": {"value": 0.8}}
    )
    assert cell.choice_auroc == pytest.approx(0.85)
