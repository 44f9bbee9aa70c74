"""The study's figures are those it prints, and what came of its statements follows by rule."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from pneumo_core.data.manifest import DUPLICATE, KEPT
from pneumo_core.report.blocks import Paragraph, Table
from pneumo_core.report.findings import Findings
from pneumo_core.report.proportions import by_name, proportions
from pneumo_core.report.sections import beside_study
from pneumo_core.report.sections.study import compare
from pneumo_core.report.sections.study_facts import CELLS, study_confusion
from pneumo_core.report.words import LANGUAGES, Words

PRINTED = {  # accuracy, sensitivity, specificity in the study's table 4.1
    "densenet121-partial": (0.872, 0.974, 0.701),
    "densenet121-frozen": (0.867, 0.992, 0.658),
    "resnet50-frozen": (0.841, 0.951, 0.658),
}


@pytest.mark.parametrize("cell", CELLS)
def test_implied_counts_give_the_printed_figures(cell: str) -> None:
    found = by_name(proportions(study_confusion(cell)))
    assert tuple(round(figure.value, 3) for figure in found.values()) == PRINTED[cell]


def _rows(num: int, **columns: Any) -> list[dict[str, Any]]:
    state = {"state": KEPT, "origin": "zip", "source_split": "train", "split": "train"}
    return [state | columns] * num


@pytest.fixture
def archive_like(twelve: Any) -> Findings:
    """The counts of the whole public archive, as the study has them."""
    well, ill = {"label": "NORMAL"}, {"label": "PNEUMONIA"}
    rows = _rows(1, **well, state=DUPLICATE) + _rows(25, **ill, state=DUPLICATE)
    rows += _rows(500, **well, split="val") + _rows(840, **well)
    rows += _rows(500, **ill, split="val") + _rows(3350, **ill)
    rows += _rows(8, **well, split="val", source_split="val")
    rows += _rows(8, **ill, split="val", source_split="val")
    for label, kept in ((well, 231), (ill, 387)):
        test = {"split": "test", "source_split": "test"}
        rows += _rows(3, **label, **test, state=DUPLICATE) + _rows(kept, **label, **test)
    augmented = {"NORMAL": 5850, "PNEUMONIA": 5850}
    data = replace(twelve.found.data, table=pd.DataFrame(rows), num_augmented=augmented)
    return replace(twelve.found, data=data)


def test_other_films_are_not_compared(twelve: Any) -> None:
    assert compare(twelve.found) is None
    (block,) = beside_study.build(None, Words("en"))
    assert isinstance(block, Paragraph)


def test_counts_of_the_archive_are_reproduced(archive_like: Findings) -> None:
    compared = compare(archive_like)
    assert compared
    verdicts = {claim.name: claim.verdict for claim in compared.claims}
    for name in ("duplicates_train", "duplicates_test", "validation", "training", "test"):
        assert verdicts[name] == "reproduced", name


def test_half_a_test_split_is_said_to_be_half(archive_like: Findings) -> None:
    table = archive_like.data.table
    half = table.drop(index=table[(table["split"] == "test")].index[:300])
    compared = compare(replace(archive_like, data=replace(archive_like.data, table=half)))
    assert compared
    verdicts = {claim.name: claim.verdict for claim in compared.claims}
    assert verdicts["test"] == verdicts["duplicates_test"] == "partly"
    assert verdicts["validation"] == "reproduced"


def test_cells_of_the_study_stand_beside_the_same_cells(archive_like: Findings) -> None:
    compared = compare(archive_like)
    assert compared
    assert [row.cell for row in compared.rows] == ["densenet121-partial", *CELLS]  # first: winner
    assert compared.rows[0].ours == archive_like.winner.name
    for row in compared.rows:
        (cell,) = (c for c in archive_like.cells if c.name == row.ours)
        assert row.here
        assert row.differences
        for name, figure in row.here.items():
            assert figure.value == pytest.approx(cell.test[name]["value"])
            apart = figure.value - row.study[name].value
            assert row.differences[name].value == pytest.approx(apart)


def test_cells_that_were_not_trained_stand_alone_and_last(archive_like: Findings) -> None:
    only = tuple(c for c in archive_like.cells if c.name == "efficientnet_b0-frozen")
    compared = compare(replace(archive_like, cells=only))
    assert compared
    assert [row.ours for row in compared.rows] == [only[0].name, None, None]
    assert [row.cell for row in compared.rows] == list(CELLS)


def test_the_best_model_is_judged_by_name_and_by_ties(archive_like: Findings) -> None:
    def verdict(found: Findings) -> str:
        compared = compare(found)
        assert compared
        return next(claim.verdict for claim in compared.claims if claim.name == "best")

    by_name = {cell.name: cell for cell in archive_like.cells}
    best = by_name["densenet121-partial"]
    others = tuple(cell for cell in archive_like.cells if cell is not best)
    assert verdict(replace(archive_like, cells=(best, *others))) == "reproduced"
    other_first = replace(archive_like, cells=(*others, best), tied=frozenset())
    assert verdict(other_first) == "not_reproduced"
    assert verdict(replace(other_first, tied=frozenset({best.name}))) == "not_separable"
    assert verdict(replace(archive_like, cells=others)) == "untested"


def test_what_differs_is_what_was_set_otherwise(archive_like: Findings) -> None:
    compared = compare(archive_like)
    assert compared
    assert compared.settings["image_size_px"] == (512, 64)
    assert compared.settings["recipe"] == ("study_brightness_rotation", "symmetric")
    assert "class_weights" not in compared.settings  # (1, 1.5) in both
    assert "models" not in compared.settings
    assert "test_films" not in compared.settings


@pytest.mark.parametrize("language", LANGUAGES)
def test_section_states_every_claim(archive_like: Findings, language: str) -> None:
    compared = compare(archive_like)
    blocks = beside_study.build(compared, Words(language))
    tables = [block for block in blocks if isinstance(block, Table)]
    assert compared
    assert len(tables) == 3
    assert len(tables[1].rows) == len(compared.claims) == 11
    assert all(all(isinstance(cell, str) and cell for cell in row) for row in tables[1].rows)
