from dataclasses import replace
from typing import Any

from pneumo_core.report.blocks import Paragraph, Table
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import winner
from pneumo_core.report.words import Words


def _columns(found: Findings) -> list[str]:
    (table,) = (b for b in winner.build(found, Words("en")) if isinstance(b, Table))
    assert len(table.rows) == len(winner.FIGURES)
    return [column.title for column in table.columns]


def test_figures_without_possible_overlap_have_a_column_where_there_are_any(made: Any) -> None:
    title = Words("en")("winner.trusted")
    test = {name: of for name, of in made.found.winner.test.items() if name != "without_suspects"}
    for extra, shown in (({}, False), ({"without_suspects": test}, True)):
        cell = replace(made.found.winner, test=test | extra)
        found = replace(made.found, cells=(cell, *made.found.cells[1:]))
        assert (title in _columns(found)) is shown


def test_figures_of_another_share_with_pneumonia_are_not_to_be_compared(made: Any) -> None:
    test = made.found.winner.test
    trusted = {**test, "n": 100, "n_positive": 22}
    cell = replace(made.found.winner, test={**test, "without_suspects": trusted})
    found = replace(made.found, cells=(cell, *made.found.cells[1:]))
    texts = [b.text for b in winner.build(found, Words("en")) if isinstance(b, Paragraph)]
    share = Words("en").percent(test["n_positive"] / test["n"])
    assert any(f"here 22.0% in place of {share}" in text for text in texts)
