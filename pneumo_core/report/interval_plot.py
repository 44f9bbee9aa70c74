"""Shares with their intervals as lines of text, for a terminal, a summary or a comment."""

import math
from collections.abc import Mapping

from pneumo_core.metrics.metrics import Estimate

WIDTH = 41  # characters of the axis
STEP = 0.05  # the axis begins at a multiple of this and ends at 1


def draw_intervals(figures: Mapping[str, Estimate]) -> str:
    """Return a line for each figure, all on one axis: name, drawn interval, numbers."""
    lowest = min(figure.ci_low for figure in figures.values())
    start = STEP * min(math.floor(lowest / STEP + 1e-9), round(1 / STEP) - 1)
    longest = max(map(len, figures))

    def column(share: float) -> int:
        return round((share - start) / (1 - start) * (WIDTH - 1))

    lines = [f"{'':{longest}} {start:<{WIDTH - 4}.2f}1.00"]
    for name, figure in figures.items():
        low, value, high = map(column, (figure.ci_low, figure.value, figure.ci_high))
        drawn = list(" " * low + "─" * (high - low + 1) + " " * (WIDTH - 1 - high))
        drawn[low], drawn[high] = "├", "┤"
        drawn[value] = "●"
        numbers = f"{figure.value:.3f} [{figure.ci_low:.3f}, {figure.ci_high:.3f}]"
        lines.append(f"{name:{longest}} {''.join(drawn)} {numbers}")
    return "\n".join(lines)
