"""The study's figures stand beside those of the same cells here."""

from dataclasses import replace

import pytest

from pneumo_core.report.findings import Findings
from pneumo_core.report.sections.study import compare
from pneumo_core.report.sections.study_facts import CELLS


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


def test_what_differs_is_what_was_set_otherwise(archive_like: Findings) -> None:
    compared = compare(archive_like)
    assert compared
    assert compared.settings["image_size_px"] == (512, 64)
    assert compared.settings["recipe"] == ("study_brightness_rotation", "symmetric")
    assert "class_weights" not in compared.settings  # (1, 1.5) in both
    assert "models" not in compared.settings
    assert "test_films" not in compared.settings


def test_a_committee_that_wins_has_no_rate_to_compare_and_is_no_architecture(
    archive_like: Findings, led_by_committee: Findings
) -> None:
    found = replace(led_by_committee, data=archive_like.data)
    compared = compare(found)
    assert compared
    assert compared.rows[0].ours == "committee"
    assert set(compared.settings) == {*_settings(archive_like)} - {"lr", "epochs"}


def _settings(found: Findings) -> set[str]:
    compared = compare(found)
    assert compared
    return set(compared.settings)
