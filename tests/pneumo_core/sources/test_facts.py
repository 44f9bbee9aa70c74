import re
from dataclasses import replace
from pathlib import Path

import pytest

from pneumo_core.sources import facts
from pneumo_core.sources.source import SourceFile

ALL = [facts.KERMANY_KAGGLE, facts.KERMANY_HUGGING_FACE, facts.PNEUMONIAMNIST]
ALL += facts.LISTED.values()
PACKAGE = Path(facts.__file__).parent


@pytest.mark.parametrize("data_set", ALL, ids=lambda each: each.name)
def test_every_row_is_whole(data_set: facts.DataSet) -> None:
    for message in (data_set.what, data_set.labelled_by, data_set.patients, data_set.licence):
        assert message
    assert re.search(r"doi:10\.\d+/\S+$", data_set.citation)
    assert data_set.page.startswith("https://")
    for remote in data_set.files.values():
        assert re.fullmatch("[0-9a-f]{32}", remote.md5)


def test_the_archive_is_the_same_wherever_it_lies() -> None:
    by_split = {"train": 0, "val": 0, "test": 0}
    for place, num_films in facts.KERMANY_KAGGLE.num_films.items():
        by_split[place.split("/")[0]] += num_films
    assert by_split == facts.KERMANY_HUGGING_FACE.num_films
    old_train = by_split["train"] + by_split["val"]
    small = facts.PNEUMONIAMNIST.num_films
    assert (small["train"] + small["val"], small["test"]) == (old_train, by_split["test"])


@pytest.mark.parametrize("fact", ["5216", "1341", "4708", "zenodo", "paultimothymooney"])
def test_code_does_not_repeat_facts(fact: str) -> None:
    telling = [path.name for path in PACKAGE.glob("*.py") if fact in path.read_text()]
    assert telling == ["facts.py"]


def _files(data_set: facts.DataSet | None, places: dict[str, int]) -> list[SourceFile]:
    file = SourceFile("train", "NORMAL", "a", 1, bytes, origin="a test", data_set=data_set)
    return [
        replace(file, split=place.split("/")[0], label=place.split("/")[1])
        for place, num_films in places.items()
        for _ in range(num_films)
    ]


def test_whole_data_set_is_named_with_its_terms_and_no_more() -> None:
    (line,) = facts.remarks(_files(facts.KERMANY_KAGGLE, dict(facts.KERMANY_KAGGLE.num_films)))
    assert "CC BY 4.0" in line
    assert "doi:10.17632/rscbjbr9sj" in line


def test_missing_films_are_told_by_place() -> None:
    counts = facts.KERMANY_KAGGLE.num_films | {"train/NORMAL": 1340, "val/PNEUMONIA": 0}
    _, first, second = facts.remarks(_files(facts.KERMANY_KAGGLE, dict(counts)))
    assert "1340 films in train/NORMAL, 1341 were published" in first
    assert "0 films in val/PNEUMONIA, 8 were published" in second


def test_nothing_is_said_of_other_films() -> None:
    assert facts.remarks(_files(None, {"train/NORMAL": 3})) == []
