"""The rates of a benchmark as a table to print and as a chart."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from pneumo_core.charts import BLUE, GRAY, INK, ORANGE, PALE, svg
from pneumo_core.experiments.throughput import CellRates

DISTANCE = 0.2  # of the dots of a cell
HEAD = (
    "model",
    "strategy",
    "epochs",
    "pneumo",
    "ceiling",
    "share of it",
    "plain",
    "times plain",
    "timm's settings",
    "an epoch once cached",
)
DOTS = (  # attribute, name, colour
    ("ceiling_images_per_second", "ceiling: the same steps, data on the device", GRAY),
    ("images_per_second", "pneumo", BLUE),
    ("timm_images_per_second", "timm's settings", INK),
    ("plain_images_per_second", "plain loop", ORANGE),
)


def as_markdown(rows: Sequence[CellRates]) -> str:
    """Images a second, and how many times those of the plain loop."""
    lines = [HEAD, ("---",) * 2 + ("---:",) * (len(HEAD) - 2)]
    for row in rows:
        ours, ceiling = row.images_per_second, row.ceiling_images_per_second
        plain, by_timm = row.plain_images_per_second, row.timm_images_per_second
        numbers = (ours, ceiling, f"{ours / ceiling:.0%}", plain, f"{ours / plain:.1f}", by_timm)
        once_cached = row.steady_images_per_second if row.cached else ""
        lines.append(
            (row.model, row.strategy, str(row.epochs), *map(_text, (*numbers, once_cached)))
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(rate: float | str) -> str:
    return rate if isinstance(rate, str) else f"{rate:,.0f}"


def chart(rows: Sequence[CellRates]) -> Markup:
    """Dots on a logarithmic axis, a group a cell: cached cells are many times as fast."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place in range(len(rows)):
            axes.axhspan(place - 0.42, place + 0.42, color=PALE, alpha=0.25, linewidth=0)
        for number, (attribute, name, colour) in enumerate(DOTS):
            rates = [getattr(row, attribute) for row in rows]
            places = np.arange(len(rows)) + (number - 1.5) * DISTANCE
            axes.plot(rates, places, "o", color=colour, label=name)
            for rate, place in zip(rates, places, strict=True):
                axes.annotate(
                    f"{rate:,.0f}",
                    (rate, place),
                    (7, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8,
                )
        axes.set_yticks(
            range(len(rows)), [f"{row.model}\n{row.strategy}, {row.epochs} epochs" for row in rows]
        )
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel="images a second, caching included")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.16)
        figure.legend(loc="outside upper left", ncols=2)

    first = rows[0]
    label = f"Training speed on {first.device_name}, {first.image_size} px, batch {first.batch}"
    return svg(draw, (6.4, 1.2 + 0.95 * len(rows)), label)
