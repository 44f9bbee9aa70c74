"""The charts of models: learning curves, and figures on test."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumo_core.charts import BLUE, GRAY, INK, ORANGE, PALE, svg
from pneumo_core.labels import LABELS
from pneumo_core.metrics.curves import roc
from pneumo_core.metrics.metrics import Confusion, Scores
from pneumo_core.report.words import Estimate, Words

OTHERS = ("#e69f00", "#009e73", "#cc79a7", "#56b4e9", GRAY)
DASHES = ("-", "--", ":")
ROW_IN = 0.26  # height of a row of a forest
UNIT: dict[str, Any] = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.02), "aspect": "equal"}


def one(draw: Callable[[Axes], None], size_in: tuple[float, float], label: str) -> Markup:
    """Return a chart with one pair of axes."""
    return svg(lambda figure: draw(figure.add_subplot()), size_in, label)


def learning_curve(name: str, history: pd.DataFrame, max_loss: float, words: Words) -> Markup:
    """Return the loss by epoch of one cell; charts side by side share `max_loss`."""

    def draw(axes: Axes) -> None:
        for split, colour, dash in (("train", ORANGE, "--"), ("val", BLUE, "-")):
            pen: dict[str, Any] = {"color": colour, "label": words(f"split.{split}")}
            axes.plot(history["epoch"], history[f"{split}_loss"], dash, marker=".", **pen)
        axes.set(ylim=(0, max_loss * 1.05))
        axes.set(xlabel=words("chart.epoch"), ylabel=words("chart.loss"))
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="lower left")

    return one(draw, (3.4, 2.7), words("chart.learning", name=name))


def roc_curves(
    scores_of: Mapping[str, Scores],
    label_of: Mapping[str, str],
    points: Mapping[str, tuple[float, float]],
    words: Words,
) -> Markup:
    """Return the curves of all cells on one set of films, the winner first.

    Args:
        points: the winner's operating points, (1 - specificity, sensitivity), by name.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=PALE, linewidth=1)
        pens = cycle([(dash, colour) for dash in DASHES for colour in OTHERS])
        for number, (name, scores) in enumerate(scores_of.items()):
            rates = roc(scores).to_numpy().T
            if not number:
                axes.plot(*rates, color=BLUE, linewidth=2.6, zorder=3, label=label_of[name])
            else:
                dash, colour = next(pens)
                axes.plot(*rates, dash, color=colour, linewidth=1.2, label=label_of[name])
        for marker, (what, at) in zip("osD^v", points.items(), strict=False):
            axes.plot(*at, marker, color=ORANGE, markersize=8, zorder=4, label=what)
        axes.set(xlabel=words("chart.false_alarm_rate"), ylabel=words("figure.sensitivity"), **UNIT)
        axes.figure.legend(loc="outside lower left", borderpad=0.8)

    height_in = 4.5 + 0.18 * (len(scores_of) + len(points))
    return one(draw, (4.6, height_in), words("chart.roc"))


def confusion_matrix(counts: Confusion, words: Words) -> Markup:
    """Return true class (rows) against reading (columns), shaded by the share of the row."""
    table = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]])
    shares = table / table.sum(1, keepdims=True)
    names = [words(f"label.{label}") for label in LABELS]

    def draw(axes: Axes) -> None:
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=3)
        for (row, column), count in np.ndenumerate(table):
            share = shares[row, column]
            pen: dict[str, Any] = {"ha": "center", "color": "white" if share > 0.5 else INK}
            place = (column + 0.5, row + 0.5)
            axes.annotate(words.count(int(count)), place, va="bottom", fontsize=18, **pen)
            below: dict[str, Any] = {"xytext": (0, -6), "textcoords": "offset points", "va": "top"}
            of_row = words("chart.of_row", share=words.percent(share), label=names[row])
            axes.annotate(of_row, place, fontsize=9, **below, **pen)
        middles = (0.5, 1.5)
        axes.set_xticks(middles, names)
        axes.set_yticks(middles, names, rotation=90, va="center")
        axes.set(xlabel=words("chart.model_says"), ylabel=words("chart.film_is"))
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.invert_yaxis()

    return one(draw, (4.4, 3.9), words("chart.confusion"))


@dataclass(frozen=True)
class ForestRow:
    label: str
    marks: Mapping[str, Estimate]  # by what they are: the same in every row
    strong: bool = False


def forest(
    rows: Sequence[ForestRow], name: str, label: str, words: Words, reference: float | None = None
) -> Markup:
    """Figures with intervals, a row each; `name` is the figure's in `metrics.json`."""
    pens = (("o", BLUE), ("s", GRAY))
    series = list(rows[0].marks)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        if reference is not None:
            axes.axvline(reference, color=PALE, linewidth=1, zorder=0)
        for (marker, colour), what, shift in zip(pens, series, (-0.14, 0.14), strict=False):
            places = np.arange(len(rows)) + (shift if len(series) > 1 else 0)
            found = [row.marks[what] for row in rows]
            axes.hlines(places, [f["ci_low"] for f in found], [f["ci_high"] for f in found], colour)
            axes.plot([f["value"] for f in found], places, marker, color=colour, label=what)
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        for row, tick in zip(rows, axes.get_yticklabels(), strict=True):
            tick.set_fontweight("bold" if row.strong else "normal")
        axes.set(xlabel=words(f"figure.{name}"), ylim=(len(rows) - 0.4, -0.6))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=PALE, linewidth=0.5)
        if len(series) > 1:
            figure.legend(loc="outside upper left", ncols=2)

    return svg(draw, (5.0, 1.0 + ROW_IN * max(len(rows), 3)), label)
