"""The files of a report: whole, alike in both languages, the same bytes for the same findings."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.report import document, files
from pneumo_core.report.document import Pictures
from pneumo_core.report.words import LANGUAGES, Words

pytestmark = pytest.mark.slow

PAGES = ("index.html", "index.ko.html")


class _Reader(HTMLParser):
    """Tables as rows of texts, all text, and whether every element is closed in its turn."""

    VOID = ("meta", "img", "br", "input")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.tags: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id" and value]
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"style", "script"}.isdisjoint(self._open):
            self.text += data
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def readers(written: Path) -> dict[str, _Reader]:
    return {name: _Reader((written / name).read_text("utf-8")) for name in PAGES}


def test_everything_is_there(written: Path, made: Any) -> None:
    names = {path.name for path in written.iterdir()}
    texts = {f"{name}{suffix}.md" for name in ("report", "model_card") for suffix in ("", ".ko")}
    certificates = {"certificate.html", "certificate.ko.html"}
    assert names == {*PAGES, *certificates, *texts, "report.json", "figures"}
    for suffix, language in (("", "en"), (".ko", "ko")):
        charts = document.charts_of(document.write(made.found, made.pictures, Words(language)))
        for chart in charts:
            assert (written / "figures" / f"{chart.name}{suffix}.svg").is_file()
            assert f"figures/{chart.name}{suffix}.svg" in (
                written / f"report{suffix}.md"
            ).read_text("utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_pages_refer_to_nothing_outside_but_each_other(
    written: Path, readers: dict[str, _Reader], name: str
) -> None:
    page, reader = (written / name).read_text("utf-8"), readers[name]
    assert {"link", "iframe", "object", "base"}.isdisjoint(reader.tags)
    ids = [each for each in reader.ids if not each.startswith("image")]  # equal films, equal ids
    assert len(ids) == len(set(ids))
    referred = re.findall(r'(?:src|href)="([^"]*)', page)
    (other,) = set(PAGES) - {name}
    anchors = {f"#{identity}" for identity in reader.ids}
    outside = {target for target in referred if not target.startswith("data:image/")}
    assert outside <= anchors | {other}
    assert other in outside
    assert not re.search(r"url\((?!#)|@import", page)
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", page)


def test_no_figure_is_missing_or_undefined(readers: dict[str, _Reader], written: Path) -> None:
    for reader in readers.values():
        assert not re.search(r"\b(nan|inf|None|undefined)\b", reader.text)
    for path in written.glob("*.md"):
        assert not re.search(r"\b(nan|inf|None|undefined)\b", path.read_text("utf-8"))


def test_names_are_text_whatever_they_hold(
    written: Path, readers: dict[str, _Reader], hostile: str, made: Any
) -> None:
    for name in PAGES:
        assert "<script>alert" not in (written / name).read_text("utf-8")
        assert readers[name].text.count(hostile) >= len(made.pictures.shown.films) + 5
    for path in written.glob("*.md"):
        assert "<script>" not in re.sub(r"`[^`]*`", "", path.read_text("utf-8"))
        assert "\\<script\\>" in path.read_text("utf-8")


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:[.,]\d+)*", text)


def test_both_languages_show_the_same_numbers(readers: dict[str, _Reader]) -> None:
    english, korean = (readers[name].tables for name in PAGES)
    assert len(english) == len(korean) > 12
    for ours, theirs in zip(english, korean, strict=True):
        assert len(ours) == len(theirs)
        for first, second in zip(ours[1:], theirs[1:], strict=True):
            for one, other in zip(first, second, strict=True):
                if re.match(r"[\d\u2212\u00b1+]", one):
                    assert _numbers(one) == _numbers(other)


def test_markdown_has_the_tables_of_the_page(readers: dict[str, _Reader], written: Path) -> None:
    text = (written / "report.md").read_text("utf-8").replace("\\", "").replace("**", "")
    for table in readers["index.html"].tables:
        if table[0] and table[0][0] in ("rank", "figure", "corruption"):
            for row in table[1:]:
                assert f"| {' | '.join(row)} |" in text


def test_headline_is_the_winner_on_test(readers: dict[str, _Reader], made: Any) -> None:
    test, text = made.found.winner.test, readers["index.html"].text
    for name in ("accuracy", "sensitivity", "specificity"):
        figure = test[name]
        assert f"{figure['value']:.1%}" in text
        assert f"95% interval {figure['ci_low']:.1%}\u2013{figure['ci_high']:.1%}" in text
    counts = test["confusion"]
    assert f"{counts['tp']} of 30 films with pneumonia were found" in text
    assert f"폐렴 30장 가운데 {counts['tp']}장을 찾고" in readers["index.ko.html"].text


def test_leaderboard_is_in_the_order_of_the_findings(
    readers: dict[str, _Reader], made: Any
) -> None:
    (table,) = (t for t in readers["index.html"].tables if t[0] and t[0][0] == "rank")
    for row, cell in zip(table[1:], made.found.cells, strict=True):
        assert row[1] == cell.description.architecture
        assert row[3] == f"{cell.choice_auroc:.3f}"
        assert row[4:6] == [f"{of['auroc']['value']:.3f}" for of in (cell.val, cell.shifted)]
        assert row[7].startswith(f"{cell.test['accuracy']['value']:.1%}")
    assert [row[0] for row in table[1:]] == ["1", "2 (tied)"]


def test_json_has_every_figure_and_no_film(written: Path, made: Any) -> None:
    content = json.loads((written / "report.json").read_text("utf-8"))
    winner = made.found.winner
    assert content["winner"]["name"] == winner.name
    assert content["cells"][winner.name]["test"] == winner.test
    assert [case["image_id"] for case in content["cases"]] == [
        film.image_id for film in made.pictures.shown.films
    ]
    assert "data:image" not in json.dumps(content)
    assert content["recommendations"]["reading_aid"][0] == winner.name
    assert content["checklist"]["external"] == "open"
    assert content["checklist"]["flow"] == "answered"


def test_same_findings_give_the_same_bytes(written: Path, made: Any, tmp_path: Path) -> None:
    files.write(tmp_path, made.found, made.pictures)
    names = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert names == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for name in names:
        assert (written / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_model_card_names_use_misuse_and_origin(written: Path) -> None:
    card = (written / "model_card.md").read_text("utf-8")
    for text in (
        "Not for: diagnosis",
        "## Intended use",
        "## Provenance",
        "9.8.7",
        "Operating",
    ):
        assert text in card
    assert card.startswith("# Model card: first")
    assert "쓰지 말아야 할 곳" in (written / "model_card.ko.md").read_text("utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_not_done_is_left_out_or_open(made: Any, language: str) -> None:
    """A report on films of any source: no certificate, no audit, no validation, no pictures."""
    refused = {"n": 0, "share": {"value": 0.0, "ci_low": 0.0, "ci_high": 0.01}}
    test = {**made.found.winner.test, "refused": refused}
    winner = replace(made.found.winner, test=test, val=None, history=None)
    data = replace(made.found.data, certificate=None, num_augmented=None)
    bare = {"audit": None, "robustness": None, "saliency": None, "occlusion": None}
    found = replace(made.found, data=data, cells=(winner,), tied=frozenset(), recipe=None, **bare)
    written = document.write(found, Pictures(None), Words(language))
    names = [section.name for section in written.sections]
    assert {"summary", "data", "winner", "use", "cases", "limits"} <= set(names)
    assert {"models", "occlusion", "robustness", "shortcuts", "study"}.isdisjoint(names)


def test_drawn_films_are_said_to_be_drawn(made: Any, readers: dict[str, _Reader]) -> None:
    note = "These films are drawn by a program"
    assert note not in readers["index.html"].text
    drawn = made.found.data.table.assign(origin="phantom")
    found = replace(made.found, data=replace(made.found.data, table=drawn))
    written = document.write(found, made.pictures, Words("en"))
    assert note in written.sections[0].blocks[0].text
