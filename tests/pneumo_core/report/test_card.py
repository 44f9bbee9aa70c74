from dataclasses import replace
from typing import Any

import pytest

from pneumo_core.report import card
from pneumo_core.report.blocks import Bullets, Paragraph
from pneumo_core.report.findings import DataFindings, Findings
from pneumo_core.report.pages import to_markdown
from pneumo_core.report.words import LANGUAGES, Words


@pytest.mark.parametrize("language", LANGUAGES)
def test_card_of_a_committee_names_its_members(led_by_committee: Findings, language: str) -> None:
    document = card.write(led_by_committee, Words(language))
    (details,) = document.sections[0].blocks
    assert isinstance(details, Paragraph)
    for name in ("efficientnet_b0-frozen", "efficientnet_b0-partial", "64 px"):
        assert name in details.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_card_says_for_whom_the_model_is_of_no_use(
    made: Any, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DataFindings, "is_public_archive", True)
    words, winner = Words(language), made.found.winner
    bare = {"reading_aid": winner.points["reading_aid"]}
    cell = replace(
        winner,
        test={**winner.test, "operating_points": bare},
        val={**winner.val, "operating_points": bare},
    )
    document = card.write(replace(made.found, cells=(cell,)), words)
    (uses,) = document.sections[1].blocks
    assert isinstance(uses, Bullets)
    assert words("summary.not_adults") in uses.items
    assert words("use.no_screening") in uses.items


def test_a_row_in_bold_is_bold_in_markdown_too(made: Any) -> None:
    page = to_markdown(card.write(made.found, Words("en")), "")
    assert "\n| **reading aid** |" in page
    assert "\n| **rule-in** |" not in page
