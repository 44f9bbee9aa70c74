"""New films beside the training data, as a page: three questions, each figure, a chart."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pneumo_core.inference.drift import FigureDrift, Findings
from pneumo_core.params import MonitorParams
from pneumo_core.report import drift_page
from pneumo_core.report.blocks import Charts, Document, Verdicts
from pneumo_core.report.drift_page import Distributions
from pneumo_core.report.files import page_of
from pneumo_core.report.pages import to_html, to_markdown
from pneumo_core.report.words import LANGUAGES, Words

FIGURES = ("mean", "std", "aspect", "probability", "ood_score", "direction_1")
KINDS = ("brightness", "contrast", "geometry", "score", "features", "features")
COMPARED = tuple(
    FigureDrift(figure, kind, 0.4, 1e-5, 50.0, 70.0, drifted=figure == "std")
    for figure, kind in zip(FIGURES, KINDS, strict=True)
)
DRIFTED = Findings("films", "pneumo@champion", 30, 28, 2, 5, 25, 60, COMPARED, MonitorParams())
CALM = replace(DRIFTED, comparisons=tuple(replace(each, drifted=False) for each in COMPARED))


def levels(document: Document) -> list[str]:
    (verdicts,) = (
        block
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Verdicts)
    )
    return [each.level for each in verdicts.verdicts]


def write(findings: Findings, language: str = "en") -> Document:
    return drift_page.write(findings, None, Words(language))


@pytest.mark.parametrize(
    ("findings", "usable_alike_due"),
    [
        (replace(CALM, num_quarantined=0), ["good", "good", "good"]),
        (DRIFTED, ["bad", "bad", "caution"]),
        (replace(CALM, comparisons=()), ["bad", "open", "good"]),
        (
            replace(CALM, num_labelled=10**6, max_quarantined_fraction=1.0),
            ["good", "good", "caution"],
        ),
    ],
)
def test_three_questions_are_answered(findings: Findings, usable_alike_due: list[str]) -> None:
    assert levels(write(findings)) == usable_alike_due


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_figure_has_a_row_and_a_name(language: str) -> None:
    words = Words(language)
    page = to_markdown(write(DRIFTED, language), "")
    for figure in FIGURES:
        assert page.count(f"| {drift_page.figure_name(figure, words)} |") == 1
    assert page.count(words("drift.is_drifted")) == 1
    assert f"({words('drift.figure_std')}" not in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_chart_is_in_the_language_of_the_page(language: str) -> None:
    rng = np.random.default_rng(0)
    later = pd.DataFrame({name: rng.normal(size=25) for name in FIGURES})
    document = drift_page.write(DRIFTED, Distributions(later + 1, later), Words(language))
    (chart,) = (
        chart
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Charts)
        for chart in block.charts
    )
    assert Words(language)("drift.share") in chart.svg
    assert str(chart.svg) in to_html(document, page_of("monitor"))


def test_films_of_erased_patients_are_counted_where_there_are_any() -> None:
    some, none = (to_markdown(write(replace(CALM, num_erased=n)), "") for n in (3, 0))
    assert "- Films of erased patients, left out: 3\n" in some
    assert "erased" not in none


def test_numbers_are_written_as_in_the_report() -> None:
    lower = tuple(replace(each, reference_median=-0.452) for each in COMPARED)
    page = to_markdown(write(replace(DRIFTED, comparisons=lower)), "")
    assert page.count("| \N{MINUS SIGN}0.452 | 70 | 0.40 | \\<0.001 |") == len(COMPARED)


@pytest.mark.parametrize("language", LANGUAGES)
def test_films_that_can_be_read_are_counted(language: str) -> None:
    words = Words(language)
    page = to_markdown(write(replace(CALM, num_quarantined=0), language), "")
    assert words("drift.usable", usable=28, new=28) in page
