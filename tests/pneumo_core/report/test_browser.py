"""The pages in a real browser: Debian's chromium, headless. Screenshots stay in pytest's folder."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from pneumo_core.report import files

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

# Contrast by WCAG 2.1 of every text with its nearest opaque background; returns what is below 4.5.
PALE_TEXTS = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((numbers(colour)[3] ?? 1) === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const pale = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const hidden = !element.getClientRects().length || element.closest("svg, script, style");
    if (hidden || !walker.currentNode.data.trim()) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const text = walker.currentNode.data.trim().slice(0, 40);
    if (ratio < 4.5) pale.add(`${ratio.toFixed(2)}: ${text}`);
  }
  return [...pale];
}"""


@pytest.fixture(scope="module")
def pages(twelve: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of twelve models on 618 films."""
    folder = tmp_path_factory.mktemp("pages")
    files.write(folder, twelve.found, twelve.pictures)
    return folder


@pytest.fixture
def opened(browser: Browser, pages: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page at a size; whatever it complains about or asks the network for fails the test."""
    name, size = request.param
    complaints: list[str] = []
    page = browser.new_page(viewport=size)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url))
    page.goto((pages / name).as_uri())
    yield page
    page.close()
    asked = {text for text in complaints if not text.startswith("data:image/")}
    assert asked == {(pages / name).as_uri()}


def _at(name: str, size: dict[str, int]) -> Any:
    return pytest.mark.parametrize("opened", [(name, size)], indirect=True, ids=[name])


english, korean = _at("index.html", DESK), _at("index.ko.html", DESK)


@english
def test_the_slider_moves_the_counts(opened: Page, twelve: Any) -> None:
    winner = twelve.found.winner
    scores = winner.scores

    def shown(name: str) -> str:
        return opened.locator(f'[data-out="{name}"]').first.inner_text()

    assert {n: int(shown(n)) for n in ("tp", "fp", "tn", "fn")} == winner.test["confusion"]
    slider = opened.locator("#threshold")
    slider.focus()
    slider.press("Home")
    assert (shown("threshold"), shown("fn"), shown("tn")) == ("0.000", "0", "0")
    for _ in range(3):
        slider.press("PageUp")
    threshold = float(slider.input_value())
    assert 0 < threshold < 1
    called = scores.probabilities >= threshold
    assert int(shown("tp")) == int((called & (scores.labels == 1)).sum())
    assert int(shown("fp")) == int((called & (scores.labels == 0)).sum())
    slider.press("End")
    assert (shown("tp"), shown("ppv")) == ("0", "none")
    opened.locator("button[data-threshold]").first.press("Enter")
    assert int(shown("tp")) == winner.test["confusion"]["tp"]
    before = shown("missed")
    opened.locator("#prevalence").select_option("0.5")
    assert int(shown("missed")) > int(before)
    assert shown("prevalence") == "50%"


@english
def test_intervals_of_the_slider_are_those_of_the_page(opened: Page) -> None:
    before = opened.locator('[data-out="sensitivity"]').inner_text()
    opened.locator("button[data-threshold]").first.click()
    assert opened.locator('[data-out="sensitivity"]').inner_text() == before
    assert re.fullmatch(r"\d+\.\d% \(\d+\.\d%\u2013\d+\.\d%\)", before)


@english
def test_the_leaderboard_sorts_by_keyboard(opened: Page) -> None:
    table = opened.locator("table.sortable").first
    accuracies = table.locator("tbody td:nth-child(7)")

    def values() -> list[float]:
        return [float(v) for v in accuracies.evaluate_all("cs => cs.map(c => c.dataset.value)")]

    assert len(values()) == 12
    heading = table.locator("thead th").nth(6)
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert values() == sorted(values(), reverse=True)
    heading.locator("button").press("Space")
    assert values() == sorted(values())
    table.locator("thead th button").first.click()
    table.locator("thead th button").first.click()
    assert table.locator("tbody tr").first.get_attribute("class") == "strong"


@english
def test_everything_can_be_reached_by_the_keyboard(opened: Page) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    reached = set()
    for _ in range(90):
        opened.keyboard.press("Tab")
        reached.add(opened.evaluate("document.activeElement.outerHTML.slice(0, 40)"))
    assert any("threshold" in html for html in reached)
    assert any("prevalence" in html for html in reached)
    assert any("<button" in html for html in reached)
    assert any('class="scroll"' in html for html in reached)


@pytest.mark.parametrize(
    "opened", [("index.html", DESK), ("index.ko.html", DESK)], indirect=True, ids=["en", "ko"]
)
def test_every_text_stands_out_from_its_ground(opened: Page, tmp_path: Path) -> None:
    for scheme in ("light", "dark"):
        opened.emulate_media(color_scheme=scheme)
        assert opened.evaluate(PALE_TEXTS) == [], scheme
        opened.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)


@pytest.mark.parametrize(
    "opened", [("index.html", PHONE), ("index.ko.html", PHONE)], indirect=True, ids=["en", "ko"]
)
def test_a_phone_scrolls_one_way_only(
    opened: Page, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    opened.screenshot(path=tmp_path / f"{request.node.name}.png")
    opened.locator(".explorer").scroll_into_view_if_needed()
    opened.screenshot(path=tmp_path / f"{request.node.name}-explorer.png")


@korean
def test_korean_has_glyphs_and_says_that_it_is_korean(opened: Page, tmp_path: Path) -> None:
    assert opened.evaluate("document.documentElement.lang") == "ko"
    # A glyph that no font has is drawn as the same box as any other that no font has.
    same = opened.evaluate(
        """() => {
          const draw = (text) => {
            const canvas = document.createElement("canvas");
            const context = canvas.getContext("2d");
            context.font = getComputedStyle(document.body).font;
            context.fillText(text, 10, 50);
            return canvas.toDataURL();
          };
          return draw("폐") === draw("\\u{10FFFF}");
        }"""
    )
    assert not same
    opened.screenshot(path=tmp_path / "korean.png")
    opened.screenshot(path=tmp_path / "korean-whole.png", full_page=True)


@english
def test_the_language_link_opens_the_twin(opened: Page, pages: Path) -> None:
    link = opened.locator("a[hreflang=ko]")
    assert link.get_attribute("href") == "index.ko.html"
    assert (pages / "index.ko.html").is_file()


@english
def test_print_has_no_controls_and_cuts_no_table(opened: Page, tmp_path: Path) -> None:
    opened.emulate_media(media="print")
    opened.set_viewport_size({"width": 690, "height": 1000})  # A4 less its margins
    for selector in ("nav", ".controls", ".skip"):
        assert not opened.locator(selector).first.is_visible(), selector
    wide = opened.evaluate(
        "[...document.querySelectorAll('table')].filter(t => t.scrollWidth > 690).length"
    )
    assert wide == 0
    opened.pdf(path=tmp_path / "report.pdf", format="A4", print_background=True)
    assert (tmp_path / "report.pdf").stat().st_size > 50_000


@pytest.mark.slow
def test_twelve_models_stay_under_fifteen_megabytes(pages: Path) -> None:
    assert all(path.stat().st_size < 15e6 for path in pages.glob("*.html"))
