"""One language: a catalogue of texts, and numbers as this language writes them."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

LANGUAGES = ("en", "ko")

PERCENTAGES = frozenset(
    {"accuracy", "balanced_accuracy", "sensitivity", "specificity", "fnr", "fpr", "ppv", "npv"}
)
MINUS, EN_DASH = "\u2212", "\u2013"
RANGE = {"en": EN_DASH, "ko": "~"}

Estimate = Mapping[str, float]  # `value`, `ci_low`, `ci_high`


class Words:
    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text under `section.name` with its {places} filled in.

        Where an English text has two forms, `n` chooses the form.
        """
        text = self._texts[key]
        if not isinstance(text, str):
            text = text["one" if values["n"] == 1 else "other"]
        return str(text.format(**values))

    def has(self, key: str) -> bool:
        return key in self._texts

    def split(self, name: str) -> str:
        """Return the name of a split; a source outside the pipeline may have any name."""
        return self(f"split.{name}") if self.has(f"split.{name}") else name

    def number(self, value: float, places: int = 3) -> str:
        return f"{value:.{places}f}".replace("-", MINUS)

    def count(self, value: int) -> str:
        return f"{value:,}".replace("-", MINUS)

    def percent(self, share: float, places: int = 1) -> str:
        return f"{100 * share:.{places}f}%".replace("-", MINUS)

    def patients(self, figure: Estimate) -> str:
        """Return whole patients per 1,000, with their interval."""
        value, low, high = (f"{figure[part]:.0f}" for part in ("value", "ci_low", "ci_high"))
        return f"{value} ({self.range(low, high)})"

    def signed(self, difference: float) -> str:
        """Return a difference of shares in percentage points, without the unit."""
        return f"{100 * difference:+.1f}".replace("-", MINUS)

    def points(self, difference: float) -> str:
        return self("unit.points", value=self.signed(difference))

    def value(self, name: str, value: float) -> str:
        """Return a figure as it is written; `name` is its name in `metrics.json`."""
        return self.percent(value) if name in PERCENTAGES else self.number(value)

    def range(self, low: str, high: str) -> str:
        """Return both ends with a dash between them, in English not beside a sign."""
        dash = " to " if self.language == "en" and high[0] in f"{MINUS}+" else RANGE[self.language]
        return f"{low}{dash}{high}"

    def interval(self, name: str, figure: Estimate) -> str:
        return self.range(self.value(name, figure["ci_low"]), self.value(name, figure["ci_high"]))

    def figure(self, name: str, figure: Estimate) -> str:
        """Return value and interval."""
        return f"{self.value(name, figure['value'])} ({self.interval(name, figure)})"

    def listed(self, items: Iterable[str]) -> str:
        *first, last = items
        if not first:
            return last
        joint = " and " if self.language == "en" else ", "
        return f"{', '.join(first)}{joint}{last}"


@cache
def catalogue(language: str) -> dict[str, Any]:
    """Return all texts by `section.name`."""
    text = files("pneumo_core.report").joinpath("texts", f"{language}.yaml").read_text("utf-8")
    return {
        f"{section}.{name}": entry
        for section, entries in yaml.safe_load(text).items()
        for name, entry in entries.items()
    }
