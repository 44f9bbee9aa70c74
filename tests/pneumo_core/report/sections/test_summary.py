from dataclasses import replace
from typing import Any

import pytest

from pneumo_core.report.blocks import Bullets, Paragraph
from pneumo_core.report.findings import ExternalSet, Findings
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


@pytest.mark.parametrize("language", LANGUAGES)
def test_adults_are_excluded_where_all_films_are_of_children(
    archive_like: Findings, made: Any, language: str
) -> None:
    words = Words(language)
    for found, excluded in ((archive_like, True), (made.found, False)):
        (uses,) = (b for b in summary.build(found, words) if isinstance(b, Bullets))
        assert (words("summary.not_adults") in uses.items) is excluded


@pytest.mark.parametrize(("auroc", "excluded"), [(0.515, True), (0.9, False)])
def test_another_hospital_is_excluded_where_the_model_failed(
    made: Any, auroc: float, excluded: bool
) -> None:
    words = Words("en")
    figure = {"value": auroc, "ci_low": auroc - 0.06, "ci_high": auroc + 0.06}
    refused = {"share": {"value": 0.0, "ci_low": 0.0, "ci_high": 0.01}}
    metrics = made.found.winner.test | {"auroc": figure, "refused": refused}
    described = {"is_external": True, "shared": {}}
    elsewhere = ExternalSet("nih", "sources/nih.yaml", described, metrics, ())
    found = replace(made.found, external=(elsewhere,))
    (uses,) = (block for block in summary.build(found, words) if isinstance(block, Bullets))
    assert (words("summary.not_elsewhere", names="nih") in uses.items) is excluded
