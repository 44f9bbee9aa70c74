from typing import Any

import pytest

from pneumo_core.report.blocks import Paragraph, Table
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import models
from pneumo_core.report.sections.models import gap
from pneumo_core.report.words import LANGUAGES, Words


def test_gap_is_validation_minus_test(made: Any) -> None:
    cell = made.found.winner
    expected = cell.val["accuracy"]["value"] - cell.test["accuracy"]["value"]
    assert gap(cell) == pytest.approx(expected)


def test_strategies_and_architectures_are_compared_where_there_are_several(
    made: Any, twelve: Any
) -> None:
    def num_rows(found: Any) -> list[int]:
        return [len(b.rows) for b in models.build(found, Words("en")) if isinstance(b, Table)]

    assert num_rows(made.found) == [2, 2]  # the leaderboard, two strategies of one architecture
    assert num_rows(twelve.found) == [12, 3, 4]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_committee_is_on_the_leaderboard_and_in_no_comparison_of_its_members(
    led_by_committee: Findings, language: str
) -> None:
    blocks = models.build(led_by_committee, Words(language))
    leaderboard, *compared = [block for block in blocks if isinstance(block, Table)]
    assert leaderboard.rows[0][1] == "committee"
    assert [len(table.rows) for table in compared] == [3, 4]
    (explained,) = [
        block.text for block in blocks if isinstance(block, Paragraph) and "committee" in block.text
    ]
    for name in ("efficientnet_b0-frozen", "efficientnet_b0-partial"):
        assert name in explained
