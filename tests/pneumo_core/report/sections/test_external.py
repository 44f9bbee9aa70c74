"""Films from elsewhere: the answer on the first screen, the section and the card."""

from dataclasses import replace
from typing import Any

import pytest

from pneumo_core.report import card, document
from pneumo_core.report.findings import ExternalSet, Findings
from pneumo_core.report.pages import to_markdown
from pneumo_core.report.sections.limits import states
from pneumo_core.report.sections.trust import answer
from pneumo_core.report.words import LANGUAGES, Words

NONE = {split: {"films": 0, "patients": 0} for split in ("train", "val", "test")}
DRIFT = [
    {"figure": "mean", "kind": "brightness", "drifted": True},
    {"figure": "ood_score", "kind": "features", "drifted": True},
    {"figure": "direction_1", "kind": "features", "drifted": True},
    {"figure": "std", "kind": "contrast", "drifted": False},
]


def figure(value: float, half: float = 0.01) -> dict[str, float]:
    return {"value": value, "ci_low": value - half, "ci_high": value + half}


@pytest.fixture
def found(made: Any) -> Findings:
    """The winner has .95 of each figure on test."""
    at = {name: figure(0.95) for name in ("auroc", "sensitivity", "specificity")}
    winner = replace(made.found.winner, test=made.found.winner.test | at)
    return replace(made.found, cells=(winner, *made.found.cells[1:]))


def with_set(found: Findings, shared: Any = NONE, refused: float = 0.0, **figures: Any) -> Findings:
    metrics = {**found.winner.test, **figures}
    metrics["refused"] = {"n": 0, "share": figure(refused, 0.001)}
    described = {
        "files": {"kept": 60, "quarantined": 3, "duplicate": 2},
        "patients": {"films": 60, "known": 40},
        "shared": shared,
        "is_external": shared is NONE,
    }
    each = ExternalSet("nih", "sources/nih.yaml", described, metrics, DRIFT)
    return replace(found, external=(*found.external, each))


def outside(found: Findings) -> tuple[str, str]:
    (each,) = (each for each in answer(found) if each.name in ("outside", "external"))
    return each.name, each.level


def test_nothing_from_elsewhere_shows_nothing(found: Findings) -> None:
    assert outside(found) == ("outside", "open")


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({}, "good"),
        ({"auroc": figure(0.93, 0.04)}, "good"),
        ({"auroc": figure(0.93, 0.06)}, "open"),  # so few films that a fall would not show
        ({"refused": 0.3}, "caution"),
        ({"auroc": figure(0.9)}, "caution"),
        ({"specificity": figure(0.1)}, "caution"),
        ({"auroc": figure(0.49, 0.06)}, "bad"),
        ({"shared": NONE | {"train": {"films": 1, "patients": 0}}}, "open"),
        ({"shared": NONE | {"test": {"films": 0, "patients": 1}}, "auroc": figure(0.5)}, "open"),
    ],
)
def test_the_answer_turns_with_the_set(
    found: Findings, changed: dict[str, Any], level: str
) -> None:
    assert outside(with_set(found, **changed)) == ("external", level)


def test_the_worst_set_decides(found: Findings) -> None:
    assert outside(with_set(with_set(found), auroc=figure(0.49))) == ("external", "bad")


@pytest.mark.parametrize("language", LANGUAGES)
def test_first_screen_section_and_card_show_the_figures(
    found: Findings, made: Any, language: str
) -> None:
    words = Words(language)
    poor = with_set(found, refused=0.683, auroc=figure(0.49, 0.06))
    written = document.write(poor, made.pictures, words)
    first, *others = written.sections
    shown = to_markdown(replace(written, sections=(first,)), "")
    for text in (words("trust.external"), "0.490", "68.3%", "nih"):
        assert text in shown
    (section,) = (each for each in others if each.name == "external")
    page = to_markdown(replace(written, sections=(section,)), "")
    drifted = words.listed([words("external.brightness"), words("external.features")])
    for text in ("sources/nih.yaml", "68.3%", words("external.drifted", kinds=drifted)):
        assert text in page
    assert page.count("](figures/external_") == 3
    assert "68.3%" in to_markdown(card.write(poor, words), "")
    whole = to_markdown(written, "")
    assert words("limits.external") in whole
    assert words("limits.not_elsewhere") not in whole
    assert states(frozenset({"external"}))["external"] == "answered"
    assert states(frozenset())["external"] == "open"


def test_a_set_that_shares_films_is_named_so(found: Findings, made: Any) -> None:
    own = with_set(found, NONE | {"train": {"films": 5, "patients": 4}})
    words = Words("en")
    page = to_markdown(document.write(own, made.pictures, words), "")
    assert "nih is not external: 5 of its films and 4 of its patients" in page
    assert "nih (not external)" in page
