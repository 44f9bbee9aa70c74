"""Which groups films fall into, by what is known of them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.dimensions import dimensions


def films(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"label": "NORMAL", "probability": 0.5} | columns)


def sizes(found: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {
        dimension: {group.name: int(group.films.sum()) for group in groups}
        for dimension, groups in found.items()
    }


def test_every_column_of_metadata_is_a_dimension_and_what_is_missing_is_shown() -> None:
    table = films(
        meta_sex=["F", "M", None, "M", "F", "F"],
        meta_age=["70", "5", "400", "41", "18", None],
        meta_site=[None] * 6,
    )
    assert sizes(dimensions(table)) == {
        "age": {"0-17": 1, "18-39": 1, "40-64": 1, "65+": 1, "not stated": 2},
        "sex": {"F": 3, "M": 2, "not stated": 1},
    }


def test_one_value_for_all_is_shown_of_metadata_and_tells_nothing_of_files() -> None:
    table = films(meta_view=["PA"] * 4, origin=["folder"] * 4, colour_mode=["L", "L", "RGB", "L"])
    assert sizes(dimensions(table)) == {"view": {"PA": 4}, "colour_mode": {"L": 3, "RGB": 1}}


def test_many_numbers_become_quarters_and_rare_texts_other() -> None:
    numbers = [str(number) for number in range(40)]
    rare = ["site 1"] * 10 + ["site 10"] * 6 + [f"{n} beds" for n in range(10, 34)]
    found = dimensions(films(meta_kvp=[*numbers[:39], None], meta_site=rare))
    assert [group.name for group in found["kvp"]] == [
        *("lowest quarter", "second quarter", "third quarter", "highest quarter", "not stated")
    ]
    assert found["kvp"][0].bounds == {"low": 0, "high": 9}
    groups = sizes(found)["site"]
    assert (len(groups), groups["other"], list(groups)[-1]) == (21, 6, "other")


def test_groups_stand_in_the_order_of_their_numbers() -> None:
    found = dimensions(films(meta_age=["1", "6", "12", "0.5"], meta_site=["10", "9", "2", "2"]))
    assert list(sizes(found)["age"]) == ["0", "1-4", "5-11", "12-17"]
    assert list(sizes(found)["site"]) == ["2", "9", "10"]


def test_groups_hold_each_film_once() -> None:
    rng = np.random.default_rng(0)
    table = films(
        meta_age=rng.integers(-5, 130, 200).astype(str),
        meta_site=rng.choice(["a", "b", None], 200),
        mean=rng.normal(size=200),
    )
    for groups in dimensions(table).values():
        assert (np.sum([group.films for group in groups], axis=0) == 1).all()


def test_named_columns_alone_are_the_dimensions() -> None:
    table = films(meta_sex=list("FMFM"), smoker=["yes", "no", None, "no"], mean=[1.0, 2, 3, 4])
    found = dimensions(table, ["smoker", "sex"])
    assert list(sizes(found).items()) == [
        ("smoker", {"no": 2, "yes": 1, "not stated": 1}),
        ("sex", {"F": 2, "M": 2}),
    ]
    assert list(dimensions(table, ["brightness"])) == ["brightness"]
    message = r"no column race and no column label|no column race and no label"
    with pytest.raises(EvaluationError, match=message) as raised:
        dimensions(table, ["race", "label"])
    assert str(raised.value).endswith("only brightness, mean, sex, smoker.")
