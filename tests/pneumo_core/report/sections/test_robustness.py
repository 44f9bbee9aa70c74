from typing import Any

from pneumo_core.report.blocks import Paragraph, Table
from pneumo_core.report.sections import robustness
from pneumo_core.report.words import Words


def test_the_worst_kind_stands_first_below_the_unchanged_films(made: Any) -> None:
    found = made.found.robustness
    kind, lost = robustness.worst_kind(found)
    assert kind == list(found["corruptions"])[-1]  # by the fixture
    assert 0 < lost < 1
    words = Words("en")
    blocks = robustness.build(found, "val", None, words)
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert table.rows[0][0] == words("robustness.clean")
    assert table.rows[1][0] == words(f"corruption.{kind}")


def test_only_films_of_validation_are_said_to_spare_test(made: Any) -> None:
    words = Words("en")
    for split, spared in (("val", True), ("test", False)):
        first = robustness.build(made.found.robustness, split, None, words)[0]
        assert isinstance(first, Paragraph)
        assert (words("robustness.not_test") in first.text) is spared
