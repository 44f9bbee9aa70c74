from typing import Any

import pytest

from pneumo_core.report.blocks import Paragraph, Table
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import beside_study
from pneumo_core.report.sections.study import compare
from pneumo_core.report.words import LANGUAGES, Words


def test_other_films_are_not_compared(twelve: Any) -> None:
    assert compare(twelve.found) is None
    (block,) = beside_study.build(None, Words("en"))
    assert isinstance(block, Paragraph)


@pytest.mark.parametrize("language", LANGUAGES)
def test_section_states_every_claim(archive_like: Findings, language: str) -> None:
    compared = compare(archive_like)
    blocks = beside_study.build(compared, Words(language))
    tables = [block for block in blocks if isinstance(block, Table)]
    assert compared
    assert len(tables) == 3
    assert len(tables[1].rows) == len(compared.claims) == 11
    assert all(all(isinstance(cell, str) and cell for cell in row) for row in tables[1].rows)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_unit_of_differences_stands_once_so_that_the_table_fits_in_print(
    archive_like: Findings, language: str
) -> None:
    words = Words(language)
    blocks = beside_study.build(compare(archive_like), words)
    (table, *_) = (block for block in blocks if isinstance(block, Table))
    rows = [row for row in table.rows if row[1] == words("study.difference")]
    assert rows
    unit = words("unit.points", value="").strip()
    assert all(unit in row[1] and not any(unit in str(cell) for cell in row[2:]) for row in rows)
