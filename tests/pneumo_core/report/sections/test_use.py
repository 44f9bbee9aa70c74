"""Recommendations follow from validation, and the slider starts at what the tables say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pneumo_core.report.blocks import Bullets, Explorer, Paragraph
from pneumo_core.report.findings import CellFindings, Findings
from pneumo_core.report.sections import use
from pneumo_core.report.sections.use import explorer, recommend
from pneumo_core.report.words import LANGUAGES, Words


def _with_point(cell: CellFindings, name: str, threshold: float, **values: float) -> CellFindings:
    """The cell with one more operating point; `values` are those of validation."""

    def put(metrics: Any) -> Any:
        point = dict(metrics["operating_points"]["reading_aid"]) | {"threshold": threshold}
        figures = {n: {"value": v, "ci_low": v - 0.01, "ci_high": v} for n, v in values.items()}
        points = metrics["operating_points"] | {name: point | figures}
        return {**metrics, "operating_points": points}

    return replace(cell, test=put(cell.test), val=put(cell.val))


def _found(made: Any, *cells: CellFindings) -> Findings:
    return replace(made.found, cells=cells)


def test_screening_goes_to_the_model_that_spares_most_false_alarms(made: Any) -> None:
    first, second = made.found.cells
    first = _with_point(first, "screening", 0.2, specificity=0.7)
    second = _with_point(second, "screening", 0.1, specificity=0.8)
    by_use = {each.use: each.cells for each in recommend(_found(made, first, second))}
    assert by_use["screening"] == (second, first)
    assert by_use["reading_aid"] == (first, second)  # the leaderboard's order


def test_a_use_that_validation_does_not_prove_is_not_recommended(made: Any) -> None:
    bare = [
        replace(c, test={**c.test, "operating_points": {"reading_aid": c.points["reading_aid"]}})
        for c in made.found.cells
    ]
    found = _found(made, *bare)
    assert {each.use: len(each.cells) for each in recommend(found)} == {
        "reading_aid": 2,
        "screening": 0,
        "rule_in": 0,
    }
    texts = [block.text for block in use.build(found, Words("en")) if isinstance(block, Paragraph)]
    assert sum("validation does not show" in text for text in texts) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_slider_starts_at_the_threshold_in_use(made: Any, language: str) -> None:
    winner = made.found.winner
    block = explorer(winner, Words(language))
    assert isinstance(block, Explorer)
    counts = winner.test["confusion"]
    assert {name: int(block.start[name]) for name in ("tp", "fp", "tn", "fn")} == counts
    start = block.data["start"]
    assert start == winner.test["threshold"]
    assert (np.array(block.data["positive"]) >= start).sum() == counts["tp"]
    assert (np.array(block.data["negative"]) >= start).sum() == counts["fp"]
    stated = winner.points["reading_aid"]["predictive"]
    (middle,) = (each for each in stated if each["prevalence"] == block.data["prevalence"])
    assert int(block.start["missed"]) == round(middle["per_1000"]["missed"]["value"])
    assert int(block.start["called"]) == round(middle["per_1000"]["false_alarms"]["value"])
    assert block.start["ppv"] == f"{middle['ppv']['value']:.1%}"
    assert block.start["prevalence"] == f"{100 * middle['prevalence']:g}%"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_use_says_how_many_of_its_positives_are_right_and_where(made: Any, language: str) -> None:
    words, winner = Words(language), made.found.winner
    lines = [
        line
        for block in use.build(made.found, words)
        if isinstance(block, Bullets)
        for line in block.items
    ]
    stated = winner.points["reading_aid"]["predictive"]
    middle = stated[len(stated) // 2]
    (line,) = (each for each in lines if words.figure("ppv", middle["ppv"]) in each)
    assert words.percent(middle["prevalence"], 0) in line
