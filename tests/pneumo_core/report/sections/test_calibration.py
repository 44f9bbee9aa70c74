from dataclasses import replace
from typing import Any

from pneumo_core.report.blocks import Paragraph, Table
from pneumo_core.report.sections import calibration
from pneumo_core.report.words import Words


def test_slope_and_intercept_are_stated_where_the_bundle_has_them(made: Any) -> None:
    winner, words = made.found.winner, Words("en")
    found = winner.test["calibration"]
    stated = words("calibration.platt", slope="0.800", intercept="+ 0.100")
    for slope, shown in ((0.8, True), (None, False)):
        changed = found | {"slope": slope, "intercept": 0.1}
        cell = replace(winner, test={**winner.test, "calibration": changed})
        blocks = calibration.build(cell, words)
        texts = [block.text for block in blocks if isinstance(block, Paragraph)]
        assert (stated in texts) is shown
        (figures, *_) = (block for block in blocks if isinstance(block, Table))
        assert figures.rows[0][0] == words("figure.ece")


def test_an_intercept_below_zero_is_taken_away(made: Any) -> None:
    winner = made.found.winner
    changed = winner.test["calibration"] | {"slope": 1.075, "intercept": -0.378}
    cell = replace(winner, test={**winner.test, "calibration": changed})
    (first, *_) = calibration.build(cell, Words("en"))
    assert isinstance(first, Paragraph)
    assert first.text.endswith("logit \N{MINUS SIGN} 0.378.")
