from dataclasses import replace
from typing import Any

import pytest

from pneumo_core.report.blocks import Bullets, Paragraph, Table
from pneumo_core.report.sections import data
from pneumo_core.report.words import LANGUAGES, Words


@pytest.mark.parametrize("language", LANGUAGES)
def test_counts_end_with_their_sum(made: Any, language: str) -> None:
    words = Words(language)
    (table,) = (b for b in data.build(made.found.data, {}, words) if isinstance(b, Table))
    files = [int(str(row[2]).replace(",", "")) for row in table.rows]
    assert files[-1] == sum(files[:-1]) == len(made.found.data.table)
    assert table.strong_rows == {len(table.rows) - 1}


def test_a_certificate_that_is_not_valid_names_its_faults(made: Any) -> None:
    faults = {
        "valid": False,
        "state": "not valid",
        "faults": [{"kind": "near_duplicates", "number": 3}],
    }
    found = replace(made.found.data, certificate={**made.found.data.certificate, **faults})
    texts = [b.text for b in data.build(found, {}, Words("en")) if isinstance(b, Paragraph)]
    assert any(
        "not valid" in text and "3 groups of near-duplicates across splits" in text
        for text in texts
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_maker_of_the_test_split_is_named(made: Any, language: str) -> None:
    def written(origin: dict[str, Any]) -> str:
        certificate = {**made.found.data.certificate, "split_origin": origin}
        found = replace(made.found.data, certificate=certificate)
        blocks = data.build(found, {}, Words(language))
        return " ".join(block.text for block in blocks if isinstance(block, Paragraph))

    dealt = {"made_by": "pneumo", "fraction": 0.2, "per_class": None, "strata": ["sex", "ward"]}
    sex = {"en": "sex", "ko": "성별"}[language]
    assert all(part in written(dealt) for part in ("pneumo", "20%", sex, "ward"))
    assert "20%" not in written({**dealt, "per_class": 33})
    assert "33" in written({**dealt, "per_class": 33})
    assert "Busan" in written({"made_by": "site", "site": "Busan", "left_out": 7})
    assert written({"made_by": "source"}) not in written(dealt)


@pytest.mark.parametrize(("possible", "said"), [(0, False), (160, True)])
def test_figures_without_possible_overlap_are_named_where_there_are_any(
    made: Any, possible: int, said: bool
) -> None:
    certificate = made.found.data.certificate
    patients = certificate["patients"] | {"possible_across_splits": possible}
    found = replace(made.found.data, certificate=certificate | {"patients": patients})
    (facts, *_) = (b for b in data.build(found, {}, Words("en")) if isinstance(b, Bullets))
    text = " ".join(facts.items)
    assert (Words("en")("data.without_patients") in text) is said
