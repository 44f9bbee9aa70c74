from dataclasses import replace
from typing import Any

import pytest

from pneumo_core.report.blocks import Bullets, Paragraph
from pneumo_core.report.sections import summary
from pneumo_core.report.words import LANGUAGES, Words


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_winner_is_named_with_the_models_that_tie(made: Any, language: str) -> None:
    first = summary.build(made.found, Words(language))[0]
    assert isinstance(first, Paragraph)
    assert made.found.winner.name in first.text
    assert "`second`" in first.text


def test_every_use_has_a_line_and_diagnosis_is_excluded(made: Any) -> None:
    words = Words("en")
    bare = {"reading_aid": made.found.winner.points["reading_aid"]}
    cells = [replace(c, test={**c.test, "operating_points": bare}) for c in made.found.cells]
    blocks = summary.build(replace(made.found, cells=tuple(cells)), words)
    (uses,) = (block for block in blocks if isinstance(block, Bullets))
    assert len(uses.items) == 4
    assert uses.items[1:] == tuple(
        words(key) for key in ("use.no_screening", "use.no_rule_in", "summary.not_for")
    )
