import pytest

from pneumo_core.audit.shortcuts import Check
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.report.blocks import Table
from pneumo_core.report.sections import shortcuts
from pneumo_core.report.words import LANGUAGES, Words


def _fail() -> tuple[Estimate, dict[str, float]]:
    raise EvaluationError("No two films are alike.")


@pytest.mark.parametrize("language", LANGUAGES)
def test_check_without_a_figure_has_a_row_that_is_open(language: str) -> None:
    words = Words(language)
    given = Check("flip_rate", "model", "Films that flip", 0.05, Estimate(0.01, 0.0, 0.04))
    missing = Check("paired_drop", "model", "What the AUROC loses", 0.05).measured(_fail)
    audit = {
        "lint": {"label_dependent": {}, "warnings": []},
        "data": [],
        "augmentation": [],
        "cell": [given.as_dict(), missing.as_dict()],
    }
    (table,) = (b for b in shortcuts.build(audit, "cell", words) if isinstance(b, Table))
    assert table.rows[0][-1] == words("shortcuts.within")
    assert table.rows[1][2:4] == (words("shortcuts.not_computed"), "")
    assert table.rows[1][-1] == words("shortcuts.open")


def test_a_known_column_has_the_name_of_the_language() -> None:
    korean = Words("ko")
    assert korean("dimension.view") in shortcuts.check_name("meta_view_auroc", korean)
    assert "ward" in shortcuts.check_name("meta_ward_auroc", korean)
