"""A claim of a statement, and what came of its check."""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pneumo_core.arrays import Floats
from pneumo_core.atomic import file_sha256
from pneumo_core.errors import NotCheckedError

Verdict = Literal["equal", "within tolerance", "differs", "not checked"]
EQUAL: Verdict = "equal"
WITHIN: Verdict = "within tolerance"
DIFFERS: Verdict = "differs"
NOT_CHECKED: Verdict = "not checked"

TOLERANCE = 1e-4  # of a probability, a figure or a coefficient
WHERE = "check out the commit with its dvc.lock, then 'dvc pull'"


@dataclass(frozen=True)
class Claim:
    name: str
    verdict: Verdict
    detail: str

    def on_other_versions(self) -> "Claim":
        """Return the same claim as it counts where other libraries computed it again."""
        if self.verdict != EQUAL:
            return self
        detail = f"{self.detail}; equal, by other versions of the libraries"
        return replace(self, verdict=WITHIN, detail=detail)


@dataclass(frozen=True)
class Outcome:
    verdict: Verdict
    detail: str


def same(detail: str) -> Outcome:
    return Outcome(EQUAL, detail)


def differs(detail: str) -> Outcome:
    return Outcome(DIFFERS, detail)


def off_by(deviation: float, what: str, tolerance: float = TOLERANCE) -> Outcome:
    """Return the outcome of a largest difference, which counts as none where it is 0."""
    if deviation == 0:
        return same(what)
    verdict = WITHIN if deviation <= tolerance else DIFFERS
    return Outcome(verdict, f"{what}: off by {deviation:.3g}, tolerance {tolerance:g}")


def largest_difference(found: Floats | float, stated: Floats | float) -> float:
    """Return the largest difference of two numbers, or of two arrays; infinite for a NaN."""
    difference = float(np.abs(np.subtract(found, stated, dtype=np.float64)).max())
    return math.inf if math.isnan(difference) else difference


def compare_values(found: Any, stated: Any, what: str) -> Outcome:
    """Compare two contents of JSON, number by number; the outcome names the worst place."""
    deviation, place = _worst(found, stated, "")
    if math.isinf(deviation):
        return differs(f"{what}: {place or 'all'} is another")
    return off_by(deviation, f"{what}, {place}" if deviation else what)


def _worst(found: Any, stated: Any, place: str) -> tuple[float, str]:
    """Return the largest difference of numbers, infinite for anything else, and where it is."""
    if isinstance(found, dict) and isinstance(stated, dict) and found.keys() == stated.keys():
        pairs = [(found[key], stated[key], f"{place}.{key}".lstrip(".")) for key in found]
    elif _are_lists(found, stated) and len(found) == len(stated):
        pairs = [
            (a, b, f"{place}[{n}]") for n, (a, b) in enumerate(zip(found, stated, strict=True))
        ]
    elif _are_numbers(found, stated):
        return largest_difference(found, stated), place
    else:
        return (0.0 if found == stated else math.inf), place
    return max((_worst(*pair) for pair in pairs), default=(0.0, place), key=lambda worst: worst[0])


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, list | tuple) for value in values)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def require(*places: Path) -> None:
    """Raise NotCheckedError where a result is not here."""
    for path in places:
        if not path.exists():
            raise NotCheckedError(f"{path} is not here: {WHERE}")


def altered(path: Path, sha256: str) -> bool:
    """Return whether a file is not the one that a statement names; see `require`."""
    require(path)
    return file_sha256(path) != sha256


def count(number: int, what: str) -> str:
    """Return "1 film" or "3 films"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def some(names: Collection[str]) -> str:
    """Return the first three names, and how many there are beside them."""
    first = ", ".join(sorted(names)[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} others"
