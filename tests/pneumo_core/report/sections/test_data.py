from dataclasses import replace
from typing import Any

import pytest

from pneumo_core.report.blocks import Paragraph, Table
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
    faults = {"valid": False, "state": "not valid", "faults": ["3 groups across splits"]}
    found = replace(made.found.data, certificate={**made.found.data.certificate, **faults})
    texts = [b.text for b in data.build(found, {}, Words("en")) if isinstance(b, Paragraph)]
    assert any("not valid" in text and "3 groups across splits" in text for text in texts)
