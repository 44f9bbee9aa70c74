"""Whether a model could be judged is asked before one is trained."""

from collections.abc import Callable

import pandas as pd
import pytest

from pneumo_core.data.manifest import check_judges
from pneumo_core.errors import DataError

MakeTable = Callable[..., pd.DataFrame]


def table(make_table: MakeTable, patients: list[str]) -> pd.DataFrame:
    """Six films a split and class but for the normal films of test."""
    rows = [
        {"image_id": f"{split}/{label}/{number}.png", "patient_key": f"{split} {label} {number}"}
        for split in ("val", "test")
        for label in ("NORMAL", "PNEUMONIA")
        for number in range(6)
        if (split, label) != ("test", "NORMAL")
    ]
    rows += [
        {"image_id": f"test/NORMAL/{number}.png", "patient_key": patient}
        for number, patient in enumerate(patients)
    ]
    return make_table(rows)


@pytest.mark.parametrize("patients", [[], ["a", "b"], ["a", "a", "a", "a"]])
def test_too_few_films_or_patients_are_named(make_table: MakeTable, patients: list[str]) -> None:
    found = f"test has {len(patients)} films of {len(set(patients))} patients of the class NORMAL"
    with pytest.raises(DataError, match=found):
        check_judges(table(make_table, patients))


def test_three_films_of_two_patients_are_enough(make_table: MakeTable) -> None:
    check_judges(table(make_table, ["a", "a", "b"]))
