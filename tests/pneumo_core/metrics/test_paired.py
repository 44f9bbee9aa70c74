import numpy as np
import pytest

from pneumo_core.metrics.differences import Difference
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.paired import adjusted, distinguished, holm


def test_holm_is_that_of_r() -> None:
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")"""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


def test_difference_has_an_interval_and_a_two_sided_p() -> None:
    draws = np.random.default_rng(0).normal(0.02, 0.01, 1999)
    found = Difference.of(0.02, draws)
    assert found.ci_low == pytest.approx(0.0004, abs=0.002)
    assert found.ci_high == pytest.approx(0.0396, abs=0.002)
    assert found.p == pytest.approx(0.0455, abs=0.02)
    assert Difference.of(-0.02, -draws).p == found.p


def test_p_is_never_nought_and_is_one_without_a_difference() -> None:
    assert Difference.of(1.0, np.ones(999)).p == pytest.approx(2 / 1000)
    assert Difference.of(0.0, np.zeros(999)).p == 1


def test_adjusted_changes_p_alone() -> None:
    first, second = Difference(0.1, 0.0, 0.2, 0.03), Difference(0.2, 0.1, 0.3, 0.01)
    assert adjusted([first, second]) == [
        Difference(0.1, 0.0, 0.2, 0.03),
        Difference(0.2, 0.1, 0.3, 0.02),
    ]


@pytest.mark.parametrize(
    ("num_between", "num_films", "p", "needed"),
    [(0, 100, 1.0, None), (5, 100, 0.0625, 120), (2, 508, 0.5, 1524), (6, 100, 0.03125, None)],
)
def test_points_are_told_apart_by_the_films_between_them(
    num_between: int, num_films: int, p: float, needed: int | None
) -> None:
    """Six films, all found by one point alone, are the fewest that chance does not explain."""
    positive = np.r_[np.full(num_between, 0.3), np.full(num_films - num_between, 0.9)]
    labels = np.repeat([0, 1], num_films)
    keys = np.arange(2 * num_films).astype(np.str_)
    scores = Scores(labels, np.r_[np.full(num_films, 0.1), positive], keys)
    found = distinguished(scores, 0.2, 0.5)
    assert (found["n"], found["num_between"], found["films_needed"]) == (
        num_films,
        num_between,
        needed,
    )
    assert found["p"] == pytest.approx(p)
