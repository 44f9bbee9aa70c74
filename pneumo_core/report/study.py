"""The study's own figures beside what this pipeline measured, and what came of its statements.

The study (Korean, 2024) gives figures without intervals. Its sensitivity and specificity fix the
counts on its 618 test films, and these give the intervals; they add up to its accuracy exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot
from typing import Any, Literal

from pneumo_core import manifest
from pneumo_core.manifest import LABELS
from pneumo_core.metrics import Confusion, Figure, wilson
from pneumo_core.report.findings import CellFindings, DataFindings, Findings

NUM_ILL, NUM_WELL = 387, 231
FIGURES = ("accuracy", "sensitivity", "specificity")

# True positives and true negatives on test of the cells that the study gives in full (its 4.1).
CELLS = {
    "densenet121-partial": (377, 162),
    "densenet121-frozen": (384, 152),
    "resnet50-frozen": (368, 152),
}
BEST = "densenet121-partial"
MODELS = ("efficientnet_b0", "densenet121", "convnext_tiny", "resnet50")

# Validation and test accuracy of the cell that it calls overfitted, and the range over strategies
# of the architecture that it calls consistent (its 4.3).
OVERFITTED, OVERFITTED_VAL, OVERFITTED_TEST = "resnet50-partial", 0.907, 0.759
CONSISTENT, CONSISTENT_RANGE = "efficientnet_b0", (0.798, 0.806)

# Its chapter 2: films by label, NORMAL then PNEUMONIA.
COUNTS = {
    "duplicates_train": (1, 25),
    "duplicates_test": (3, 3),
    "validation": (508, 508),
    "training": (5850, 5850),
    "test": (231, 387),
}

SETTINGS: dict[str, Any] = {
    "image_size_px": 512,
    "resize_rule": "pad",  # which its mean gray tells: .363, as padding gives, not .483
    "optimizer": "adam",
    "schedule": "step",
    "batch_size": 16,
    "class_weights": [1.0, 1.5],
    "lr": {"frozen": 1e-3, "partial": 1e-4, "full": 1e-5},
    "epochs": {"frozen": 10, "partial": 15, "full": 20},
    "recipe": "study_brightness_rotation",
    "models": list(MODELS),
    "test_films": NUM_ILL + NUM_WELL,
}

Verdict = Literal["reproduced", "not_reproduced", "not_separable", "partly", "untested"]


@dataclass(frozen=True)
class Row:
    """A cell of the study, and the same cell here or, under `best`, our winner."""

    cell: str
    ours: str | None  # the name of our cell; None: not trained here
    name: str  # of the figure
    study: Figure
    here: Figure | None
    difference: Figure | None  # here less study

    @property
    def verdict(self) -> str:
        if self.difference is None:
            return "untested"
        if self.difference.ci_low > 0:
            return "higher"
        return "lower" if self.difference.ci_high < 0 else "agrees"


@dataclass(frozen=True)
class Claim:
    name: str
    verdict: Verdict
    values: Mapping[str, Any]  # what was found, for the text


@dataclass(frozen=True)
class Comparison:
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...]
    settings: Mapping[str, tuple[Any, Any]]  # by name: the study's, ours; only where they differ


def study_confusion(cell: str) -> Confusion:
    tp, tn = CELLS[cell]
    return Confusion(tp=tp, fp=NUM_WELL - tn, tn=tn, fn=NUM_ILL - tp)


def proportions(c: Confusion) -> dict[str, Figure]:
    return {
        "accuracy": wilson(c.tp + c.tn, c.tp + c.tn + c.fp + c.fn),
        "sensitivity": wilson(c.tp, c.tp + c.fn),
        "specificity": wilson(c.tn, c.tn + c.fp),
    }


def difference(first: Figure, second: Figure) -> Figure:
    """First less second, of proportions in two sets of films (Newcombe 1998, method 10)."""
    value = first.value - second.value
    below = hypot(first.value - first.ci_low, second.ci_high - second.value)
    above = hypot(first.ci_high - first.value, second.value - second.ci_low)
    return Figure(value, value - below, value + above)


def compare(found: Findings) -> Comparison | None:
    """None where the films are not those of the study's archive: its figures say nothing then."""
    if not found.data.is_public_archive:
        return None
    cells = {cell.name: cell for cell in found.cells}
    rows = [row for name in CELLS for row in _rows(name, cells.get(name))]
    if found.winner.name not in CELLS:
        rows = [*_rows(BEST, found.winner), *rows]
    claims = (*_data_claims(found.data), *_model_claims(found, cells))
    return Comparison(tuple(rows), claims, _settings(found))


def _rows(name: str, cell: CellFindings | None) -> list[Row]:
    study = proportions(study_confusion(name))
    if cell is None:
        return [Row(name, None, figure, study[figure], None, None) for figure in FIGURES]
    here = proportions(Confusion(**cell.test["confusion"]))
    return [
        Row(
            *(name, cell.name, figure, study[figure], here[figure]),
            difference=difference(here[figure], study[figure]),
        )
        for figure in FIGURES
    ]


def _data_claims(data: DataFindings) -> list[Claim]:
    kept = manifest.kept(data.table)
    duplicates = data.in_state(manifest.DUPLICATE)
    whole_test = data.count(LABELS[0], "source_split")["test"] == 234
    here = {
        "duplicates_train": _by_label(duplicates, "source_split", "train"),
        "duplicates_test": _by_label(duplicates, "source_split", "test"),
        "validation": _by_label(kept, "split", "val"),
        "training": tuple((data.num_copies or {}).get(label, 0) for label in LABELS),
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
    """What the study's own counts say of its two best cells."""
    partial, frozen = (
        proportions(study_confusion(f"densenet121-{strategy}"))["accuracy"]
        for strategy in ("partial", "frozen")
    )
    return Claim(
        "partial_over_frozen", "not_separable", {"difference": difference(partial, frozen)}
    )


def _gap(cell: CellFindings) -> float:
    val = cell.val["accuracy"]["value"] if cell.val else 0.0
    return float(val - cell.test["accuracy"]["value"])


def _full_overfits(cells: Mapping[str, CellFindings]) -> Claim:
    """Whether full fine-tuning falls further from validation to test than the others do."""
    gaps = {
        strategy: [_gap(c) for c in cells.values() if c.description.strategy == strategy]
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
    val, test = cell.val, Figure(**cell.test["accuracy"])
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
    """The study's key finding, which a run with one recipe cannot test; what the audit says."""
    checks = found.audit["augmentation"] if found.audit else ()
    beyond = [check["name"] for check in checks if check["passed"] is False]
    return Claim("brightness", "untested", {"recipe": found.recipe or "", "beyond": beyond})


def _settings(found: Findings) -> dict[str, tuple[Any, Any]]:
    winner = found.winner.description
    trained = winner.origin.params
    here: dict[str, Any] = {
        "image_size_px": winner.image_size_px,
        "resize_rule": winner.resize_rule,
        **{n: trained.get(n) for n in ("optimizer", "schedule", "batch_size", "class_weights")},
        "lr": trained.get("lr"),
        "epochs": trained.get("epochs"),
        "recipe": found.recipe,
        "models": sorted({cell.description.architecture for cell in found.cells}),
        "test_films": found.winner.test["n"],
    }
    stated = {
        name: value[winner.strategy] if isinstance(value, dict) else value
        for name, value in SETTINGS.items()
    }
    stated["models"] = sorted(MODELS)
    return {name: (stated[name], here[name]) for name in stated if stated[name] != here[name]}
