"""The result of monitoring as a page in Markdown and a chart of the distributions."""

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from pneumo_core.arrays import Floats
from pneumo_core.charts import BLUE, GRAY, INK, ORANGE, svg
from pneumo_core.inference.drift import Comparison, Findings
from pneumo_core.templating import environment

NUM_COLUMNS = 3


def render(findings: Findings, chart_name: str) -> str:
    """Return the page.

    Args:
        chart_name: of the file beside the page that holds the chart.
    """
    template = environment().get_template("drift.md.j2")
    return template.render(f=findings, chart=chart_name)


def chart(
    reference: pd.DataFrame, later: pd.DataFrame, comparisons: tuple[Comparison, ...]
) -> Markup:
    """Return both distributions of each figure; their largest gap is the distance."""
    num_rows = -(-len(comparisons) // NUM_COLUMNS)

    def draw(figure: Figure) -> None:
        places = figure.subplots(num_rows, NUM_COLUMNS, squeeze=False, sharey=True).ravel()
        for axes in places[len(comparisons) :]:
            axes.set_visible(False)
        for axes, each in zip(places, comparisons, strict=False):
            colour = ORANGE if each.drifted else GRAY
            axes.step(*_cumulated(reference[each.figure]), color=BLUE, label="training data")
            axes.step(*_cumulated(later[each.figure]), color=colour, linestyle="--")
            verdict = "drifted" if each.drifted else "as before"
            axes.set_title(f"{each.figure}: {verdict}", color=ORANGE if each.drifted else INK)
            axes.set(xlabel=f"{each.kind}, distance {each.distance:.2f}", ylim=(0, 1))
        figure.supylabel("share of films up to this value", fontsize=9)
        figure.legend(["training data", "new films"], loc="outside upper left", ncols=2)

    return svg(draw, (7.2, 0.6 + 1.9 * num_rows), "Distributions of training data and new films")


def _cumulated(values: pd.Series) -> tuple[Floats, Floats]:
    found = np.sort(values.to_numpy(np.float64))
    return found, np.arange(1, len(found) + 1) / len(found)
