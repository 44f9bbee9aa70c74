"""The hashes that tie a certificate to its films."""

import hashlib
from collections.abc import Callable

import pandas as pd
import pytest

from pneumo_core.data import leakage, manifest
from pneumo_core.data.leakage import data_sha256

NAMES = ["train/NORMAL/a.png", "train/PNEUMONIA/b.png", "test/NORMAL/c.png", "test/PNEUMONIA/d.png"]


@pytest.fixture
def table(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_table({"image_id": name, "sha256": f"{i:064x}"} for i, name in enumerate(NAMES))


@pytest.mark.parametrize("column", ["sha256", "split", "label", "patient_key", "patient_group"])
def test_the_data_are_others_when_a_kept_film_changes(table: pd.DataFrame, column: str) -> None:
    before = data_sha256(table)
    assert data_sha256(table.sample(frac=1, random_state=0)) == before
    changed = table.assign(**{column: ["other", *table[column][1:]]})
    assert data_sha256(changed) != before
    quarantined = changed.assign(state=[manifest.QUARANTINED, *table["state"][1:]])
    assert data_sha256(quarantined) == data_sha256(table[1:])


def test_the_hash_of_test_films_is_of_bytes_and_labels_alone(table: pd.DataFrame) -> None:
    films = table[2:]
    renamed = films.assign(image_id="x", patient_key="y", split="z")
    assert leakage.test_split_hash(renamed) == leakage.test_split_hash(films)
    assert leakage.test_split_hash(films.assign(label="NORMAL")) != leakage.test_split_hash(films)
    assert leakage.test_split_hash(films[:1]) != leakage.test_split_hash(films)
    assert leakage.test_split_hash(films[:0]) != leakage.test_split_hash(films)


def test_a_hash_that_somebody_wrote_down_stays_what_it_is(table: pd.DataFrame) -> None:
    """As in `split.pinned_test_hash`."""
    lines = f"{2:064x} NORMAL\n{3:064x} PNEUMONIA"
    assert leakage.test_split_hash(table[2:]) == hashlib.sha256(lines.encode()).hexdigest()
