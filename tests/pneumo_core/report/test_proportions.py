"""Proportions and their difference against published examples."""

import pytest
from statsmodels.stats.proportion import proportion_confint

from pneumo_core.metrics.estimates import difference
from pneumo_core.metrics.metrics import Confusion
from pneumo_core.report.proportions import by_name, proportions


def test_each_proportion_has_wilsons_interval() -> None:
    found = by_name(proportions(Confusion(tp=56, fn=14, tn=48, fp=32)))
    expected = {"accuracy": (104, 150), "sensitivity": (56, 70), "specificity": (48, 80)}
    for name, counts in expected.items():
        low, high = proportion_confint(*counts, method="wilson")
        assert (found[name].ci_low, found[name].ci_high) == pytest.approx((low, high))


def test_difference_is_newcombes() -> None:
    """The first example of Newcombe 1998, method 10: 56 of 70 and 48 of 80."""
    first = proportions(Confusion(tp=56, fn=14, tn=1, fp=1))
    second = proportions(Confusion(tp=48, fn=32, tn=1, fp=1))
    found = by_name(difference(first, second, alike=0))["sensitivity"]
    assert found.value == pytest.approx(0.2)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
