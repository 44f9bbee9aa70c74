"""A report as files: two pages that open from disk, Markdown, and all figures as JSON."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pneumo_core.atomic import write_json, write_text
from pneumo_core.charts import standalone
from pneumo_core.data.leakage import Certificate
from pneumo_core.report import card, certificate_page, document
from pneumo_core.report.blocks import Document
from pneumo_core.report.document import Pictures
from pneumo_core.report.findings import Findings
from pneumo_core.report.pages import to_html, to_markdown
from pneumo_core.report.sections.cases import Shown
from pneumo_core.report.sections.limits import states
from pneumo_core.report.sections.study import compare
from pneumo_core.report.sections.trust import answer
from pneumo_core.report.sections.use import recommend
from pneumo_core.report.words import LANGUAGES, Words

SUFFIX = {"en": "", "ko": ".ko"}  # the first language has the plain names


def page_of(name: str) -> dict[str, str]:
    """Return the file of a page in each language."""
    return {language: f"{name}{suffix}.html" for language, suffix in SUFFIX.items()}


PAGE_OF = page_of("index")


def write(folder: Path, found: Findings, pictures: Pictures) -> None:
    """Write the report; the same findings give the same bytes.

    Files: `index.html`, `certificate.html`, `report.md`, `model_card.md`, the Korean ones (`.ko`),
    `report.json`, and each chart under `figures/`.
    """
    for language in LANGUAGES:
        words, suffix = Words(language), SUFFIX[language]
        written = document.write(found, pictures, words)
        write_text(folder / PAGE_OF[language], to_html(written, PAGE_OF))
        write_text(folder / f"report{suffix}.md", to_markdown(written, suffix))
        write_text(folder / f"model_card{suffix}.md", to_markdown(card.write(found, words), suffix))
        for chart in document.charts_of(written):
            path = folder / "figures" / f"{chart.name}{suffix}.svg"
            write_text(path, standalone(chart.svg))
    if found.data.certificate is not None:
        write_certificate(folder, "certificate", found.data.certificate, found.data.source)
    sections = frozenset(section.name for section in written.sections)
    write_json(folder / "report.json", as_json(found, pictures.shown, sections))


def write_certificate(folder: Path, name: str, certificate: Certificate, source: str) -> list[Path]:
    """Write NAME.html and NAME.ko.html, and return their paths."""
    return write_pages(
        folder, name, lambda words: certificate_page.write(certificate, source, words)
    )


def write_pages(folder: Path, name: str, document_in: Callable[[Words], Document]) -> list[Path]:
    """Write a page of its own in each language, and return the paths."""
    files = page_of(name)
    for language, file in files.items():
        write_text(folder / file, to_html(document_in(Words(language)), files))
    return [folder / file for file in files.values()]


def as_json(found: Findings, shown: Shown | None, sections: frozenset[str]) -> dict[str, Any]:
    """Return the figures of the pages."""
    compared = compare(found)
    certificate = dict(found.data.certificate or {})
    certificate.pop("lists", None)  # the certificate itself has them
    return {
        "winner": found.winner.description.model_dump(mode="json"),
        "tied_with_winner": sorted(found.tied - {found.winner.name}),
        "trust": [asdict(each) for each in answer(found)],
        "recommendations": {
            each.use: [cell.name for cell in each.cells] for each in recommend(found)
        },
        "certificate": certificate or None,
        "cells": {cell.name: {"val": cell.val, "test": cell.test} for cell in found.cells},
        "cases": [
            {name: value for name, value in asdict(film).items() if name not in ("film", "overlay")}
            for film in (shown.films if shown else ())
        ],
        "robustness": found.robustness,
        "saliency": found.saliency,
        "occlusion": found.occlusion,
        "audit": found.audit,
        "study": asdict(compared) if compared else None,
        "checklist": states(sections),
        "provenance": dict(found.provenance),
    }
