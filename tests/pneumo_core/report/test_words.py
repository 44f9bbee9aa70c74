"""Two catalogues that say the same, and numbers as each language writes them."""

import re
import string
from pathlib import Path

import pytest

from pneumo_core.report import words as module
from pneumo_core.report.words import LANGUAGES, Words, catalogue

HANGUL = re.compile("[\uac00-\ud7a3]")
# A particle whose form hangs on the sound before it, right after a value.
PARTICLE = re.compile(r"\}[`*]*(은|는|이|가|을|를|과|와)\b")
FIGURE = {"value": 0.9741, "ci_low": 0.9511, "ci_high": 0.9864}


def _texts(entry: str | dict[str, str]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry.values())


def _places(entry: str | dict[str, str]) -> set[str]:
    return {
        name for text in _texts(entry) for _, name, _, _ in string.Formatter().parse(text) if name
    }


def test_both_languages_say_the_same_things() -> None:
    english, korean = (catalogue(language) for language in LANGUAGES)
    assert english.keys() == korean.keys()
    for key in english:
        assert _places(english[key]) - {"n"} == _places(korean[key]) - {"n"}, key


def test_korean_is_korean_and_needs_no_particle_after_a_value() -> None:
    latin = {"figure.auroc", "short.auroc"} | {
        f"checklist.{n}" for n in ("stard", "claim", "tripod")
    }
    for key, entry in catalogue("ko").items():
        for text in _texts(entry):
            assert not PARTICLE.search(text), key
            words = re.sub(r"\{[^}]*\}|`[^`]*`", "", text)
            if re.search("[A-Za-z]{4}", words) and key not in latin:
                assert HANGUL.search(words), key


def test_every_text_that_the_code_names_is_there() -> None:
    named = {
        key
        for path in Path(module.__file__).parent.rglob("*.py")
        for key in re.findall(r'words\(\s*"([a-z_0-9]+\.[A-Za-z_0-9]+)"', path.read_text("utf-8"))
    }
    assert len(named) > 150
    assert named <= catalogue("en").keys()


@pytest.mark.parametrize(
    ("language", "interval", "points"),
    [
        ("en", "97.4% (95.1%\u201398.6%)", "\u22122.5 percentage points"),
        ("ko", "97.4% (95.1%~98.6%)", "\u22122.5%p"),
    ],
)
def test_numbers_are_written_as_the_language_does(
    language: str, interval: str, points: str
) -> None:
    words = Words(language)
    assert words.figure("sensitivity", FIGURE) == interval
    assert words.points(-0.025) == points
    assert words.count(11700) == "11,700"
    assert words.value("auroc", 0.98655) == "0.987"
    assert words.number(-0.5) == "\u22120.500"
    assert words.patients({"value": 9.6, "ci_low": 2.2, "ci_high": 40.4}).startswith("10 (2")


def test_one_and_many_are_told_apart() -> None:
    words = Words("en")
    given = {"model": "a", "auroc": "1", "choice": "1"}
    assert "only model" in words("summary.won", n=1, **given)
    assert "among 3 trained models" in words("summary.won", n=3, **given)
    assert "가운데" not in Words("ko")("summary.won", n=1, **given)
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert Words("ko").listed(["a", "b", "c"]) == "a, b, c"


def test_splits_from_outside_have_their_own_names() -> None:
    assert Words("en").split("val") == "validation"
    assert Words("ko").split("external") == "external"
