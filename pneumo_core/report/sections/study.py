"""The study's figures beside those of this run, and the settings that differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pneumo_core.metrics.estimates import difference
from pneumo_core.metrics.metrics import Confusion, Estimate
from pneumo_core.report.findings import CellFindings, Findings
from pneumo_core.report.proportions import by_name, proportions
from pneumo_core.report.sections.study_claims import Claim, claims
from pneumo_core.report.sections.study_facts import (
    BEST,
    CELLS,
    MODELS,
    SETTINGS,
    study_confusion,
)


@dataclass(frozen=True)
class StudyCell:
    """A cell of the study beside the same cell here; the best one stands beside our winner."""

    cell: str
    ours: str | None  # the name of our cell; None: not trained here
    study: Mapping[str, Estimate]
    here: Mapping[str, Estimate] | None
    differences: Mapping[str, Estimate] | None  # here minus study


@dataclass(frozen=True)
class StudyComparison:
    rows: tuple[StudyCell, ...]
    claims: tuple[Claim, ...]
    settings: Mapping[str, tuple[Any, Any]]  # by name: the study's, ours; only where they differ


def compare(found: Findings) -> StudyComparison | None:
    """Return the comparison, or None where the films are not those of the study's archive."""
    if not found.data.is_public_archive:
        return None
    cells = {cell.name: cell for cell in found.cells}
    rows = [_row(name, cells[name]) for name in CELLS if name in cells]
    if found.winner.name not in CELLS:
        rows.insert(0, _row(BEST, found.winner))
    rows += [_row(name, None) for name in CELLS if name not in {row.cell for row in rows}]
    return StudyComparison(tuple(rows), claims(found), _settings(found))


def _row(name: str, cell: CellFindings | None) -> StudyCell:
    study = proportions(study_confusion(name))
    if cell is None:
        return StudyCell(name, None, by_name(study), None, None)
    here = proportions(Confusion(**cell.test["confusion"]))
    differences = difference(here, study, alike=0)
    return StudyCell(name, cell.name, by_name(study), by_name(here), by_name(differences))


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
        "models": sorted(
            {cell.description.architecture for cell in found.cells if not cell.description.members}
        ),
        "test_films": found.winner.test["n"],
    }
    stated = {
        name: value[winner.strategy] if isinstance(value, dict) else value
        for name, value in SETTINGS.items()
        if not isinstance(value, dict) or winner.strategy in value  # it is not that of a committee
    }
    stated["models"] = sorted(MODELS)
    return {name: (stated[name], here[name]) for name in stated if stated[name] != here[name]}
