"""Age groups, of everybody and of children alone."""

import pandas as pd

from pneumo_core.data.ages import age_groups


def test_ages_of_everybody() -> None:
    ages = pd.Series(
        ["0.5", "17.9", "18", "39", "40", "64.9", "65", "120", "121", "-1", "old", None]
    )
    found = age_groups(ages)
    assert found[:8].tolist() == ["0-17", "0-17", "18-39", "18-39", "40-64", "40-64", "65+", "65+"]
    assert found[8:].isna().all()


def test_where_all_are_children_the_groups_are_of_children() -> None:
    ages = pd.Series([0.9, 1, 4, 5, 11.5, 12, 17.9, None], index=list("abcdefgh"))
    found = age_groups(ages)
    assert found.index.equals(ages.index)
    assert found[:7].tolist() == ["0", "1-4", "1-4", "5-11", "5-11", "12-17", "12-17"]
    assert pd.isna(found["h"])
