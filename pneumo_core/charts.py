"""Charts as inline SVG, and saliency laid over films. The same values give the same bytes.

Text stays text; the colours are those of Okabe & Ito, which colour-blind readers can tell apart.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from pneumo_core.images import Gray
from pneumo_core.manifest import LABELS
from pneumo_core.metrics import NUM_ECE_BINS, Confusion, Floats, Scores, wilson

BLUE, ORANGE, INK, GRAY, PALE = "#0072b2", "#d55e00", "#222222", "#888888", "#c8c8c8"
CLASS_COLOURS = dict(zip(LABELS, (BLUE, ORANGE), strict=True))
OTHERS = ("#e69f00", "#009e73", "#cc79a7", "#56b4e9", GRAY)
DASHES = ("-", "--", ":")
OVERLAY_COLOURS, OVERLAY_OPACITY = "inferno", 0.65
POINTS_PER_INCH, SCREEN_SCALE = 72, 1.4

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 10,
    "axes.titlesize": 10,
    "text.color": INK,
    "axes.edgecolor": GRAY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
}

RGB = npt.NDArray[np.uint8]  # [H, W, 3]


@dataclass(frozen=True)
class Captioned:
    """A chart that is a file too."""

    name: str  # of the file, without a suffix
    svg: Markup
    caption: str


def learning_curve(name: str, history: pd.DataFrame, max_loss: float) -> Markup:
    """Loss by epoch of one cell; `max_loss` is the same for all cells that stand side by side."""

    def draw(axes: Axes) -> None:
        for column, colour, dash in (("train_loss", ORANGE, "--"), ("val_loss", BLUE, "-")):
            label = "training" if column == "train_loss" else "validation"
            axes.plot(
                history["epoch"], history[column], dash, color=colour, label=label, marker="."
            )
        axes.set(title=name, xlabel="epoch", ylabel="loss", ylim=(0, max_loss * 1.05))
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="lower left")

    return _svg(draw, (3.4, 2.7), f"Learning curve of {name}")


def roc_curves(
    scores_of: Mapping[str, Scores],
    label_of: Mapping[str, str],
    winner: str,
    at: tuple[float, float],
) -> Markup:
    """All cells on one set of films; `at`: the winner's (1 - specificity, sensitivity)."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=PALE, linewidth=1)
        pens = cycle([(dash, colour) for dash in DASHES for colour in OTHERS])
        for name, scores in scores_of.items():
            rates = roc_curve(scores.labels, scores.probabilities)[:2]
            if name == winner:
                axes.plot(*rates, color=BLUE, linewidth=2.6, zorder=3, label=label_of[name])
            else:
                dash, colour = next(pens)
                axes.plot(*rates, dash, color=colour, linewidth=1.2, label=label_of[name])
        axes.plot(*at, "o", color=ORANGE, markersize=9, zorder=4, label="operating point")
        axes.set(xlabel="1 \u2212 specificity", ylabel="sensitivity", aspect="equal")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.figure.legend(loc="outside lower left", borderpad=0.8)

    return _svg(draw, (4.6, 4.7 + 0.18 * len(scores_of)), "ROC curves of all models on test")


def confusion_matrix(counts: Confusion) -> Markup:
    """Rows: what the film is; columns: what the model said; shaded by the share of the row."""
    table = np.array([[counts.tn, counts.fp], [counts.fn, counts.tp]])
    shares = table / table.sum(1, keepdims=True)

    def draw(axes: Axes) -> None:
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=3)
        for (row, column), count in np.ndenumerate(table):
            share = shares[row, column]
            colour = "white" if share > 0.5 else INK
            place = (column + 0.5, row + 0.5)
            axes.annotate(f"{count:,}", place, ha="center", va="bottom", fontsize=18, color=colour)
            below = (0, -6)
            axes.annotate(
                f"{share:.1%} of {LABELS[row]}",
                place,
                below,
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=9,
                color=colour,
            )
        middles = (0.5, 1.5)
        axes.set_xticks(middles, LABELS)
        axes.set_yticks(middles, LABELS, rotation=90, va="center")
        axes.set(xlabel="the model says", ylabel="the film is")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.invert_yaxis()

    return _svg(draw, (4.4, 3.9), "Confusion matrix on test")


def reliability(scores: Scores) -> Markup:
    """Mean probability against share of pneumonia in bins of equally many films, as in the ECE."""
    order = np.argsort(scores.probabilities, kind="stable")
    edges = np.linspace(0, len(order), min(NUM_ECE_BINS, len(order)) + 1).astype(int)
    bins = np.split(order, edges[1:-1])
    said = np.array([scores.probabilities[rows].mean() for rows in bins])
    found = [wilson(int(scores.labels[rows].sum()), len(rows)) for rows in bins]

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=PALE, linewidth=1)
        axes.vlines(said, [f.ci_low for f in found], [f.ci_high for f in found], GRAY)
        axes.plot(said, [f.value for f in found], "o", color=BLUE)
        axes.set(xlabel="probability that the model gives", ylabel="share that is pneumonia")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")

    return _svg(draw, (4.4, 4.3), "Reliability of the probabilities on test")


def overlay(pixels: Gray, saliency: Floats) -> RGB:
    """A film [H, W] with its saliency [H, W] in 0..1 over it; where that is 0 the film is bare."""
    colours = matplotlib.colormaps[OVERLAY_COLOURS](saliency)[..., :3] * 255
    opacity = OVERLAY_OPACITY * saliency[..., None]
    mixed: RGB = np.rint(pixels[..., None] * (1 - opacity) + colours * opacity).astype(np.uint8)
    return mixed


def standalone(svg: Markup) -> str:
    """What `svg` gave as a file of its own, on white."""
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    style = "<style>svg { background: #fff } * { stroke-linejoin: round }</style>"
    opening, rest = str(svg).split(">", 1)
    return f"{opening.replace('<svg', f'<svg {namespaces}')}>{style}{rest}"


def _svg(draw: Callable[[Axes], None], size_in: tuple[float, float], label: str) -> Markup:
    return svg(lambda figure: draw(figure.add_subplot()), size_in, label)


def svg(draw: Callable[[Figure], None], size_in: tuple[float, float], label: str) -> Markup:
    """An <svg> element that fits the width it is given and refers to nothing outside it."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": label}):  # ids differ between charts
        figure = Figure(figsize=size_in, layout="constrained")
        draw(figure)
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    drawn = buffer.getvalue()
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn[drawn.index("</defs>") + len("</defs>") :])
    width, height = (round(side * POINTS_PER_INCH, 1) for side in size_in)
    opening = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}" style="max-width:{}px">')
    return opening.format(label, width, height, round(width * SCREEN_SCALE)) + Markup(drawn)
