from typing import Any

import pytest

from pneumo_core.report.blocks import Table
from pneumo_core.report.sections import models
from pneumo_core.report.sections.models import gap
from pneumo_core.report.words import Words


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
