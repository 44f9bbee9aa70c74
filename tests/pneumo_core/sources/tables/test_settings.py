from typing import Any

import pytest
from pydantic import ValidationError

from pneumo_core.sources.tables.settings import Rule, TableSettings


def test_short_forms_mean_the_long_ones() -> None:
    short = TableSettings.model_validate(
        {
            "path": "a.csv",
            "labels": {"PNEUMONIA": ["Pnemonia", 1], "NORMAL": "Normal"},
            "where": {"view": "PA"},
            "join": {"path": "b.csv", "by": "id"},
        }
    )
    assert short.labels is not None
    (positive,), (negative,) = short.labels.PNEUMONIA, short.labels.NORMAL
    assert positive == Rule(column="label", equals=("Pnemonia", 1))
    assert negative == Rule(equals=("Normal",))
    assert short.where == {"view": ("PA",)}
    assert short.join[0].by == ("id",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": {"PNEUMONIA": [1]}},
        {"labels": {"PNEUMONIA": [1], "NORMAL": []}},
        {"labels": {"PNEUMONIA": [1], "NORMAL": {"column": "x"}}},
        {"labels": {"PNEUMONIA": [1], "NORMAL": {"equals": [0], "contains": ["x"]}}},
        {"labels": {"PNEUMONIA": [True], "NORMAL": [False]}},
        {"labels": {"PNEUMONIA": [1], "NORMAL": [0], "COVID": [2]}},
        {"readers": "most"},
        {"separator": ""},
        {"join": {"path": "b.csv", "by": []}},
    ],
)
def test_what_has_no_meaning_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TableSettings.model_validate({"path": "a.csv", **wrong})
