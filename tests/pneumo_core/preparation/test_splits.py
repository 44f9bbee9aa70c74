from collections.abc import Callable

import pandas as pd
import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import SplitError
from pneumo_core.params import SplitParams
from pneumo_core.preparation.splits import enlarge_validation

MakeTable = Callable[..., pd.DataFrame]


@pytest.fixture
def table(make_table: MakeTable) -> pd.DataFrame:
    """60 normal films of 40 children, 90 of 40 positive ones; 2 + 2 more in val; a test set."""
    normal = [f"train/NORMAL/IM-{min(i // 2, i - 20):04}-{i:04}.jpeg" for i in range(20, 80)]
    positive = [
        f"train/PNEUMONIA/person{i % 40}_{'virus' if i % 2 else 'bacteria'}_{i}.jpeg"
        for i in range(90)
    ]
    val = [
        "val/NORMAL/IM-0023-9.jpeg",
        "val/NORMAL/IM-9999-1.jpeg",
        "val/PNEUMONIA/person5_virus_901.jpeg",
        "val/PNEUMONIA/person999_virus_902.jpeg",
    ]
    test = [f"test/NORMAL/IM-{i:04}-8888.jpeg" for i in range(10)]
    test += [f"test/PNEUMONIA/person{i}_virus_777.jpeg" for i in range(10)]
    return make_table([*normal, *positive, *val, *test])


def _split(table: pd.DataFrame, per_class: int = 20, seed: int = 0) -> pd.DataFrame:
    return enlarge_validation(table, SplitParams(seed=seed, val_per_class=per_class))


@pytest.mark.parametrize("per_class", [5, 20, 33])
def test_validation_is_exactly_balanced(table: pd.DataFrame, per_class: int) -> None:
    val = manifest.kept(_split(table, per_class), "val")
    assert manifest.count(val, "label") == {"NORMAL": per_class, "PNEUMONIA": per_class}


def test_no_patient_group_is_in_train_and_validation(table: pd.DataFrame) -> None:
    moved = _split(table)
    groups = {split: set(rows["patient_group"]) for split, rows in moved.groupby("split")}
    assert groups["train"].isdisjoint(groups["val"])


def test_validation_patients_of_the_source_stay_and_pull_in_all_their_films(
    table: pd.DataFrame,
) -> None:
    moved = _split(table)
    val = moved[moved["split"] == "val"]
    assert set(table.loc[table["source_split"] == "val", "image_id"]) <= set(val["image_id"])
    pinned = table["patient_group"].isin(["IM-0023", "person5"]) & (table["split"] == "train")
    assert pinned.sum() == 2 + 3
    assert set(table.loc[pinned, "image_id"]) <= set(val["image_id"])


def test_test_is_not_touched_though_it_shares_patients(table: pd.DataFrame) -> None:
    moved = _split(table)
    assert (moved["split"] == "test").equals(table["split"] == "test")


def test_nothing_but_the_split_changes(table: pd.DataFrame) -> None:
    moved = _split(table)
    pd.testing.assert_frame_equal(moved.drop(columns="split"), table.drop(columns="split"))


def test_films_that_are_not_kept_do_not_count_but_follow_their_patient(
    table: pd.DataFrame,
) -> None:
    table.loc[::7, "state"] = manifest.DUPLICATE
    moved = _split(table)
    assert set(manifest.count(manifest.kept(moved, "val"), "label").values()) == {20}
    splits_of_group = moved[moved["split"] != "test"].groupby("patient_group")["split"].nunique()
    assert (splits_of_group == 1).all()


def test_split_depends_on_the_seed_and_not_on_the_order_of_the_rows(table: pd.DataFrame) -> None:
    expected = _split(table).set_index("image_id")["split"]
    for seed in range(3):
        shuffled = _split(table.sample(frac=1, random_state=seed)).set_index("image_id")["split"]
        pd.testing.assert_series_equal(shuffled.loc[expected.index], expected)
    assert not _split(table, seed=1).set_index("image_id")["split"].equals(expected)


@pytest.mark.parametrize(
    ("per_class", "message"),
    [
        (1, r"own patients 4 NORMAL \+ 5 PNEUMONIA"),
        (62, r"together hold 62 NORMAL \+ 92 PNEUMONIA"),
        (1000, r"val_per_class = 1000 is not possible"),
    ],
)
def test_sizes_that_cannot_be_had_are_named(
    table: pd.DataFrame, per_class: int, message: str
) -> None:
    with pytest.raises(SplitError, match=message):
        _split(table, per_class)


def test_groups_that_cannot_add_up_are_an_error(make_table: MakeTable) -> None:
    twins = [f"train/NORMAL/IM-{i // 2:04}-{i}.jpeg" for i in range(20)]
    positive = [f"train/PNEUMONIA/person{i}_virus_1.jpeg" for i in range(20)]
    with pytest.raises(SplitError, match=r"adds 3 NORMAL \+ 3 PNEUMONIA to validation exactly"):
        _split(make_table([*twins, *positive]), per_class=3)
