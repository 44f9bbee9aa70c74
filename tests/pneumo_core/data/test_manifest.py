from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pneumo_core.data import manifest
from pneumo_core.errors import DataError
from pneumo_core.labels import POSITIVE


@pytest.fixture
def table(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table(
        [
            {"image_id": "train/NORMAL/IM-1-1.jpeg", "mean": 101.25, "width_px": 900},
            {"image_id": "val/PNEUMONIA/person1_virus_2.jpeg", "packed_row": None},
            {"image_id": "test/NORMAL/환자.jpeg", "state": "quarantined", "reason": "empty file"},
        ]
    )


def test_what_is_written_is_read(tmp_path: Path, table: pd.DataFrame) -> None:
    manifest.write(table, tmp_path / "manifest.parquet")
    read = manifest.read(tmp_path / "manifest.parquet")
    assert list(read.columns) == manifest.SCHEMA.names
    for column in table.columns:
        expected = [None if pd.isna(value) else value for value in table[column]]
        assert [None if pd.isna(value) else value for value in read[column]] == expected
    assert read["packed_row"].dtype == "Int64"
    assert read["perceptual_hash"].isna().all()


def test_read_and_written_again_gives_the_same_bytes(tmp_path: Path, table: pd.DataFrame) -> None:
    first, second, third = (tmp_path / f"{i}.parquet" for i in range(3))
    manifest.write(table, first)
    manifest.write(table, second)
    manifest.write(manifest.read(first), third)
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()


def _values(field: pa.Field) -> st.SearchStrategy[Any]:
    values = {
        pa.string(): st.text(max_size=9),
        pa.int32(): st.integers(-(2**31), 2**31 - 1),
        pa.int64(): st.integers(-(2**63), 2**63 - 1),
        pa.float64(): st.floats(allow_nan=False),
    }[field.type]
    return st.none() | values if field.nullable else values


METADATA = st.none() | st.text(max_size=9)
ROW = {field.name: _values(field) for field in manifest.SCHEMA} | {"meta_age": METADATA}


@settings(max_examples=40, derandomize=True, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries(ROW), max_size=4))
def test_any_rows_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "manifest.parquet"
    manifest.write(pd.DataFrame(rows, columns=list(ROW), dtype=object), path)
    read = manifest.read(path)
    there = read.astype(object).where(read.notna(), None)
    assert there.to_dict("records") == rows
    assert [type(value) for column in there for value in there[column]] == [
        type(row[column]) for column in there for row in rows
    ]
    written = path.read_bytes()
    manifest.write(read, path)
    assert path.read_bytes() == written


def test_column_that_the_schema_does_not_know_is_not_written(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    manifest.write(table.assign(extra=1), tmp_path / "manifest.parquet")
    assert "extra" not in manifest.read(tmp_path / "manifest.parquet")


def test_metadata_is_text_and_missing_where_it_is_not_known(
    tmp_path: Path, table: pd.DataFrame
) -> None:
    table = table.assign(meta_sex=["F", None, "M"], meta_age=["63", float("nan"), "7"])
    manifest.write(table, tmp_path / "manifest.parquet")
    read = manifest.read(tmp_path / "manifest.parquet")
    assert manifest.metadata_columns(read) == ["meta_age", "meta_sex"]
    assert read["meta_age"].dropna().tolist() == ["63", "7"]
    assert read["meta_sex"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("version", ["2", "4", None])
def test_other_version_is_refused(tmp_path: Path, table: pd.DataFrame, version: str | None) -> None:
    path = tmp_path / "manifest.parquet"
    manifest.write(table, path)
    metadata = {"pneumo_manifest_version": version} if version else None
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    with pytest.raises(DataError, match=f"manifest version {version or 'none'}, this code reads 3"):
        manifest.read(path)


def test_missing_manifest_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No manifest at .*run the stage before"):
        manifest.read(tmp_path / "manifest.parquet")


def test_file_that_is_no_manifest_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    path.write_text("half of one")
    with pytest.raises(DataError, match="cannot be read"):
        manifest.read(path)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda table: table.iloc[1:],
        lambda table: pd.concat([table, table.iloc[:1]]),
        lambda table: table.assign(state="dropped"),
        lambda table: table.assign(image_id=["a", "b", "c"]),
    ],
    ids=["lost", "invented", "unknown state", "renamed"],
)
def test_counting_law_is_held(
    table: pd.DataFrame, break_it: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    manifest.check_counting_law(table, table.iloc[::-1])
    with pytest.raises(DataError, match="Counting law broken: 3 rows in"):
        manifest.check_counting_law(table, break_it(table))


def test_counts_are_by_value_and_sorted(table: pd.DataFrame) -> None:
    assert manifest.count(table, "split", "label") == {
        "test/NORMAL": 1,
        "train/NORMAL": 1,
        "val/PNEUMONIA": 1,
    }
    assert list(manifest.count(table, "label")) == ["NORMAL", "PNEUMONIA"]


def test_kept_leaves_out_the_rest(table: pd.DataFrame) -> None:
    assert list(manifest.kept(table)["split"]) == ["train", "val"]
    assert list(manifest.kept(table, "val")["label"]) == ["PNEUMONIA"]
    assert manifest.kept(table, "test").empty


def test_labels_have_the_index_that_the_models_use(table: pd.DataFrame) -> None:
    assert list(manifest.label_indices(table)) == [0, 1, 0]
    assert POSITIVE == 1


def test_steps_obey_the_counting_law(table: pd.DataFrame) -> None:
    moved = table.assign(source_split=["train", "train", "test"])
    steps = manifest.count_steps(moved, "label").set_index(["split", "label"])
    left = steps["files"] - steps["quarantined"] - steps["duplicate"] + steps["moved"]
    assert (left == steps["used"]).all()
    assert steps["files"].sum() == len(table)
    assert steps.loc[("train", "PNEUMONIA")].tolist() == [1, 0, 0, -1, 0]
    assert steps.loc[("val", "PNEUMONIA")].tolist() == [0, 0, 0, 1, 1]
    assert steps.loc["test", "used"].sum() == 0
    dealt = manifest.count_steps(table.assign(source_split="all"), "label")
    assert dealt.groupby("split")["files"].sum()["all"] == len(table)


def test_ages_of_everybody() -> None:
    ages = pd.Series(
        ["0.5", "17.9", "18", "39", "40", "64.9", "65", "120", "121", "-1", "old", None]
    )
    found = manifest.age_groups(ages)
    assert found[:8].tolist() == ["0-17", "0-17", "18-39", "18-39", "40-64", "40-64", "65+", "65+"]
    assert found[8:].isna().all()
    assert manifest.age_groups(pd.Series([5, 18])).tolist() == ["0-17", "18-39"]


def test_where_all_are_children_the_groups_are_of_children() -> None:
    ages = pd.Series([0.9, 1, 4, 5, 11.5, 12, 17.9, None], index=list("abcdefgh"))
    found = manifest.age_groups(ages)
    assert found.index.equals(ages.index)
    assert found[:7].tolist() == ["0", "1-4", "1-4", "5-11", "5-11", "12-17", "12-17"]
    assert pd.isna(found["h"])
