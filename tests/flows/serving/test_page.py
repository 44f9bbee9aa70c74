"""The page in a real browser."""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from flows.serving.models import Model

DROP = """([encoded, name]) => {
    const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name));
    for (const kind of ["dragenter", "dragover", "drop"])
        document.getElementById("drop").dispatchEvent(
            new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def asked() -> list[str]:
    """The addresses that the page asked for."""
    return []


@pytest.fixture
def locale() -> str:
    return "en-US"


@pytest.fixture
def page(browser: Browser, service: str, asked: list[str], locale: str) -> Iterator[Page]:
    opened = browser.new_page(locale=locale)
    opened.set_default_timeout(60_000)
    expect.set_options(timeout=60_000)
    faults: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.goto(service)
    expect(opened.locator("#model")).to_contain_text("test_efficientnet-full")
    yield opened
    opened.close()
    assert not faults
    assert all(url.startswith((service, "blob:")) for url in asked), asked


def _drop(page: Page, data: bytes, name: str) -> None:
    page.evaluate(DROP, [base64.b64encode(data).decode(), name])


def test_dropped_film_is_read_and_explained(
    page: Page, small_model: Model, film_bytes: Callable[..., bytes]
) -> None:
    film = film_bytes(0, "JPEG")
    _drop(page, film, "film.jpeg")
    expect(page.locator("#map-figure")).to_be_visible()
    reader = small_model.reader
    (prediction,) = reader.predict(reader.admit(film)[None])
    expect(page.get_by_role("heading", name=prediction.decision)).to_be_focused()
    where = f"where {reader.on_validation.prevalence:.1%} of films have it."
    expect(page.locator("#probability")).to_have_text(
        f"Probability of pneumonia {prediction.probability:.3f}, {where}"
    )
    expect(page.locator("#rule")).to_contain_text(f"the threshold of {reader.threshold:.3f}")
    expect(page.locator("#meaning")).to_have_text(reader.meaning)
    expect(page.locator("#notice")).to_contain_text("not for diagnosis")
    expect(page.locator("#model")).to_contain_text(f"version {small_model.version}")
    sizes = page.evaluate("['film', 'map'].map((id) => document.getElementById(id).naturalWidth)")
    assert sizes == [96, 64]
    ratio = page.evaluate("getComputedStyle(document.getElementById('map')).aspectRatio")
    assert ratio == "96 / 80", "the map has the shape of the film"


@pytest.mark.parametrize("locale", ["ko-KR"])
def test_a_korean_reader_finds_no_english_sentence(
    page: Page, film_bytes: Callable[..., bytes], photograph: Any
) -> None:
    _drop(page, film_bytes(0), "film.png")
    expect(page.locator("#map-figure")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "ko"
    shown = page.locator("body").inner_text().replace(page.locator("#model").inner_text(), "")
    words = set(re.findall(r"[A-Za-z]+", shown))
    assert words == {"English", "pneumo", "X", "JPEG", "PNG", "DICOM", "HiResCAM"}
    _drop(page, film_bytes(photograph), "holiday.png")
    expect(page.get_by_role("status")).to_contain_text("흉부 X선 영상이 아닌 것으로 보인다")


def test_each_language_links_to_the_other_and_has_all_texts(page: Page) -> None:
    page.get_by_role("link", name="한국어").click()
    expect(page.locator("#operating-point")).to_have_text("판독 보조")
    page.get_by_role("link", name="English").click()
    expect(page.locator("#operating-point")).to_have_text("reading aid")
    english, korean = (page.evaluate(f"Object.keys(TEXTS.{each})") for each in ("en", "ko"))
    assert english == korean


def test_dicom_which_no_browser_shows_is_seen_in_the_map(
    page: Page,
    small_film: Callable[[int], Any],
    write_dicom: Callable[..., Path],
    tmp_path: Path,
) -> None:
    _drop(page, write_dicom(tmp_path / "a.dcm", small_film(0)).read_bytes(), "a.dcm")
    expect(page.locator("#map-figure")).to_be_visible()
    expect(page.locator("#film-figure")).to_be_hidden()


def test_what_is_no_film_is_said_and_takes_the_place_of_the_last_result(
    page: Page, film_bytes: Callable[..., bytes], photograph: Any
) -> None:
    _drop(page, film_bytes(0), "film.png")
    expect(page.locator("#map-figure")).to_be_visible()
    _drop(page, film_bytes(photograph), "holiday.png")
    expect(page.get_by_role("status")).to_contain_text("not a chest film: it is in colour")
    expect(page.locator("#result")).to_be_hidden()
    _drop(page, film_bytes(1), "film.png")
    expect(page.locator("#result")).to_be_visible()
    expect(page.get_by_role("status")).to_be_empty()


def test_keyboard_alone_is_enough(
    page: Page, film_bytes: Callable[..., bytes], tmp_path: Path
) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(film_bytes(0))
    page.on("filechooser", lambda _: None)  # from here on, so that no key comes before it
    page.keyboard.press("Tab")
    expect(page.get_by_label("Drop a chest film here, or choose a file")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.getElementById('drop')).outlineStyle")
    assert outline == "solid", "who uses the keyboard sees where they are"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files(path)
    expect(page.locator("#decision")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Space")
    chooser.value.set_files(path)  # the same file again
    expect(page.locator("#decision")).to_be_focused()


def test_phone_needs_no_sideways_scrolling(page: Page, film_bytes: Callable[..., bytes]) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    _drop(page, film_bytes(0), "film.png")
    expect(page.locator("#map-figure")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    film, overlay = (page.locator(f"#{name}").bounding_box() for name in ("film", "map"))
    assert film is not None
    assert overlay is not None
    assert overlay["y"] > film["y"] + film["height"], "one below the other"


def test_server_that_has_gone_is_said(page: Page, film_bytes: Callable[..., bytes]) -> None:
    page.route("**/v1/predict", lambda route: route.abort())
    _drop(page, film_bytes(0), "film.png")
    expect(page.get_by_role("status")).to_have_text("Not read: the server does not answer.")
