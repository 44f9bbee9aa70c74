"""The study's figures are those it prints."""

import pytest

from pneumo_core.report.proportions import by_name, proportions
from pneumo_core.report.sections.study_facts import CELLS, study_confusion

PRINTED = {  # accuracy, sensitivity, specificity in the study's table 4.1
    "densenet121-partial": (0.872, 0.974, 0.701),
    "densenet121-frozen": (0.867, 0.992, 0.658),
    "resnet50-frozen": (0.841, 0.951, 0.658),
}


@pytest.mark.parametrize("cell", CELLS)
def test_implied_counts_give_the_printed_figures(cell: str) -> None:
    found = by_name(proportions(study_confusion(cell)))
    assert tuple(round(figure.value, 3) for figure in found.values()) == PRINTED[cell]
