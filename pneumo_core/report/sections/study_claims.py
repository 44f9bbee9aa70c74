"""The study's statements, each reproduced or not by a rule."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pneumo_core.data import manifest
from pneumo_core.labels import LABELS
from pneumo_core.metrics.estimates import difference
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.report.findings import CellFindings, DataFindings, Findings
from pneumo_core.report.proportions import by_name, proportions
from pneumo_core.report.sections.models import gap
from pneumo_core.report.sections.study_facts import (
    BEST,
    CONSISTENT,
    CONSISTENT_RANGE,
    COUNTS,
    OVERFITTED,
    study_confusion,
)

Verdict = Literal["reproduced", "not_reproduced", "not_separable", "partly", "untested"]


@dataclass(frozen=True)
class Claim:
    name: str
    verdict: Verdict
    values: Mapping[str, Any]  # what was found, for the text


def claims(found: Findings) -> tuple[Claim, ...]:
    cells = {cell.name: cell for cell in found.cells}
    return (*_data_claims(found.data), *_model_claims(found, cells))


def _data_claims(data: DataFindings) -> list[Claim]:
    kept = manifest.kept(data.table)
    duplicates = data.in_state(manifest.DUPLICATE)
    whole_test = data.has_all_of_archive("test")
    here = {
        "duplicates_train": _by_label(duplicates, "source_split", "train"),
        "duplicates_test": _by_label(duplicates, "source_split", "test"),
        "validation": _by_label(kept, "split", "val"),
        "training": tuple((data.num_augmented or {}).get(label, 0) for label in LABELS),
        "test": _by_label(kept, "split", "test"),
    }
    claims = []
    for name, stated in COUNTS.items():
        verdict: Verdict = "reproduced" if here[name] == stated else "not_reproduced"
        if name in ("test", "duplicates_test") and not whole_test:
            verdict = "partly"
        claims.append(Claim(name, verdict, {"study": stated, "here": here[name]}))
    return claims


def _by_label(films: Any, column: str, split: str) -> tuple[int, ...]:
    rows = films[films[column] == split]
    return tuple(int((rows["label"] == label).sum()) for label in LABELS)


def _model_claims(found: Findings, cells: Mapping[str, CellFindings]) -> list[Claim]:
    return [
        _best(found, cells),
        _partial_over_frozen(),
        _full_overfits(cells),
        _overfitted(cells),
        _consistent(cells),
        _brightness(found),
    ]


def _best(found: Findings, cells: Mapping[str, CellFindings]) -> Claim:
    winner = found.winner.name
    if BEST not in cells:
        return Claim("best", "untested", {"winner": winner})
    verdict: Verdict = "not_reproduced"
    if winner == BEST:
        verdict = "reproduced"
    elif BEST in found.tied:
        verdict = "not_separable"
    return Claim("best", verdict, {"winner": winner})


def _partial_over_frozen() -> Claim:
    """Compare the study's two best cells by its own counts."""
    partial, frozen = (
        proportions(study_confusion(f"densenet121-{strategy}"))
        for strategy in ("partial", "frozen")
    )
    found = by_name(difference(partial, frozen, alike=0))["accuracy"]
    return Claim("partial_over_frozen", "not_separable", {"difference": found})


def _full_overfits(cells: Mapping[str, CellFindings]) -> Claim:
    """Whether full fine-tuning falls further from validation to test than the others do."""
    gaps = {
        strategy: [gap(c) for c in cells.values() if c.description.strategy == strategy]
        for strategy in ("frozen", "partial", "full")
    }
    others = gaps["frozen"] + gaps["partial"]
    if not gaps["full"] or not others:
        return Claim("full_overfits", "untested", {})
    mean_full, mean_others = sum(gaps["full"]) / len(gaps["full"]), sum(others) / len(others)
    verdict: Verdict = "reproduced" if mean_full > mean_others else "not_reproduced"
    return Claim("full_overfits", verdict, {"full": mean_full, "others": mean_others})


def _overfitted(cells: Mapping[str, CellFindings]) -> Claim:
    cell = cells.get(OVERFITTED)
    if cell is None:
        return Claim("overfitted", "untested", {})
    val, test = cell.val, Estimate(**cell.test["accuracy"])
    fell = val is not None and val["accuracy"]["value"] > test.ci_high
    here = {"val": val["accuracy"]["value"] if val else None, "test": test.value}
    return Claim("overfitted", "reproduced" if fell else "not_reproduced", here)


def _consistent(cells: Mapping[str, CellFindings]) -> Claim:
    found = [
        c.test["accuracy"]["value"]
        for c in cells.values()
        if c.description.architecture == CONSISTENT
    ]
    if len(found) < 2:
        return Claim("consistent", "untested", {})
    width = CONSISTENT_RANGE[1] - CONSISTENT_RANGE[0]
    same = max(found) - min(found) <= 2 * width
    verdict: Verdict = "reproduced" if same else "not_reproduced"
    return Claim("consistent", verdict, {"low": min(found), "high": max(found)})


def _brightness(found: Findings) -> Claim:
    """Return the study's key finding, which one recipe cannot test, with the audit's checks."""
    checks = found.audit["augmentation"] if found.audit else ()
    beyond = [check["name"] for check in checks if check["passed"] is False]
    return Claim("brightness", "untested", {"recipe": found.recipe or "", "beyond": beyond})
