"""Intervals drawn as text."""

from pneumo_core.metrics.metrics import Estimate
from pneumo_core.report.interval_plot import draw_intervals


def test_places_follow_the_numbers() -> None:
    """An axis from .5 to 1 has a character for each 1/80."""
    drawn = draw_intervals({"a": Estimate(0.75, 0.5, 1.0), "bb": Estimate(0.9, 0.8, 0.95)})
    axis, first, second = drawn.splitlines()
    assert axis.split() == ["0.50", "1.00"]
    assert first == f"a  ├{'─' * 19}●{'─' * 19}┤ 0.750 [0.500, 1.000]"
    assert second == f"bb {' ' * 24}├{'─' * 7}●{'─' * 3}┤{' ' * 4} 0.900 [0.800, 0.950]"


def test_a_sure_figure_is_a_dot() -> None:
    _, line = draw_intervals({"sure": Estimate(1.0, 1.0, 1.0)}).splitlines()
    assert line == f"sure {' ' * 40}● 1.000 [1.000, 1.000]"
