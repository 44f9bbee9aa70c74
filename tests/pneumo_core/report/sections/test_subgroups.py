from dataclasses import replace
from typing import Any

from pneumo_core.report.blocks import Paragraph, Table
from pneumo_core.report.sections import subgroups
from pneumo_core.report.words import Words


def test_every_group_has_a_row(made: Any) -> None:
    winner = made.found.winner
    blocks = subgroups.build(winner, Words("en"))
    (table,) = (block for block in blocks if isinstance(block, Table))
    assert len(table.rows) == sum(len(groups) for groups in winner.test["subgroups"].values())


def test_films_without_groups_have_a_sentence(made: Any) -> None:
    winner = replace(made.found.winner, test={**made.found.winner.test, "subgroups": {}})
    (block,) = subgroups.build(winner, Words("en"))
    assert isinstance(block, Paragraph)


def test_groups_have_names_in_each_language() -> None:
    assert subgroups.group_name("brightness", "lowest", Words("en")) == "brightness: lowest quarter"
    assert subgroups.group_name("origin", "zip", Words("ko")).endswith("zip")
