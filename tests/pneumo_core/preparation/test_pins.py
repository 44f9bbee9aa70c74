"""Where patients were once."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pneumo_core.errors import SaltError, SplitError
from pneumo_core.preparation import pins
from pneumo_core.preparation.pins import Pins

SALT = b"sixteen characters"


@pytest.fixture
def films(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    table = make_table(
        [
            "test/PNEUMONIA/person1_virus_1.jpeg",
            "val/NORMAL/IM-0002-0001.jpeg",
            "train/NORMAL/IM-0003-0001.jpeg",
            "train/NORMAL/nobody.png",
        ]
    )
    table.loc[3, ["patient_key", "patient_group"]] = table.at[3, "image_id"]  # as sources do
    return table.assign(sha256=[f"{number:064x}" for number in range(len(table))])


def test_pins_come_back_from_a_file_that_says_nothing_readable(
    films: pd.DataFrame, tmp_path: Path
) -> None:
    kept = Pins(SALT).with_splits(films)
    path = tmp_path / "ledger/pins.json"
    pins.write(kept, path)
    assert pins.read(path, SALT) == kept
    text = path.read_text()
    assert "person1" not in text
    assert "nobody" not in text
    pins.write(Pins(SALT, dict(reversed(kept.split_of.items()))), path)
    assert path.read_text() == text
    assert pins.read(tmp_path / "none.json", SALT) == Pins(SALT)


def test_patients_are_known_again_under_other_names(films: pd.DataFrame) -> None:
    kept = Pins(SALT).with_splits(films)
    later = films.assign(split="all")
    # The other pathogen of person1 is possibly the same patient; nobody.png got a name and a label.
    later.loc[0, "patient_key"] = "person1_bacteria"
    later.loc[3, ["patient_key", "patient_group", "label"]] = [
        "all/x.png",
        "all/x.png",
        "PNEUMONIA",
    ]
    assert kept.groups(later) == {
        "test": {"person1"},
        "val": {"IM-0002"},
        "train": {"IM-0003", "all/x.png"},
    }


def test_a_film_of_nobody_is_known_by_its_bytes_and_not_by_its_name(films: pd.DataFrame) -> None:
    kept = Pins(SALT).with_splits(films)
    replaced = films.tail(1).assign(sha256="of another film")
    assert not any(kept.groups(replaced).values())


def test_whom_test_has_once_it_keeps(films: pd.DataFrame) -> None:
    kept = Pins(SALT).with_splits(films)
    linked = films.assign(patient_group="all of them")
    assert kept.groups(linked) == {"test": {"all of them"}, "val": set(), "train": set()}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<<<<<<< ours",
        "[]",
        '{"test": []}',
        '{"train": ["a"], "val": [], "test": ["a"]}',
        '{"train": [1], "val": [], "test": []}',
        '{"train": [], "val": [], "test": [], "more": []}',
        '{"train": "abc", "val": null, "test": []}',
        "\x00",
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pins.json"
    path.write_text(text)
    with pytest.raises(SplitError, match="restore it from git"):
        pins.read(path, SALT)


def test_pins_of_another_salt_are_refused(films: pd.DataFrame, tmp_path: Path) -> None:
    """Else nobody in test would be known again, and could be trained on."""
    path = tmp_path / "pins.json"
    pins.write(Pins(SALT).with_splits(films), path)
    assert SALT.decode() not in path.read_text()
    with pytest.raises(SaltError, match="copy var/salt from where it was made"):
        pins.read(path, b"another salt, as after a loss")
    path.write_text('{"train": ["0a"], "val": [], "test": []}')  # hashes without a salt
    with pytest.raises(SaltError, match="was made with another salt"):
        pins.read(path, SALT)
    pins.write(Pins(SALT), path)  # of a source with a test split of its own
    assert pins.read(path, b"another salt, as after a loss").split_of == {}
