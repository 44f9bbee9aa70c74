import pytest

from pneumo_core.report import card
from pneumo_core.report.blocks import Paragraph
from pneumo_core.report.findings import Findings
from pneumo_core.report.words import LANGUAGES, Words


@pytest.mark.parametrize("language", LANGUAGES)
def test_card_of_a_committee_names_its_members(led_by_committee: Findings, language: str) -> None:
    document = card.write(led_by_committee, Words(language))
    (details,) = document.sections[0].blocks
    assert isinstance(details, Paragraph)
    for name in ("efficientnet_b0-frozen", "efficientnet_b0-partial", "64 px"):
        assert name in details.text
