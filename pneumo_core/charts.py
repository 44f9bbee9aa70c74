"""Charts as inline SVG. The same values give the same bytes.

Text stays text. The colours are those of Okabe & Ito, which colour-blind readers can tell apart.
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from pneumo_core.labels import LABELS

BLUE, ORANGE, INK, GRAY, PALE = "#0072b2", "#d55e00", "#222222", "#888888", "#c8c8c8"
CLASS_COLOURS = dict(zip(LABELS, (BLUE, ORANGE), strict=True))
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


@dataclass(frozen=True)
class Captioned:
    """A chart with its caption and the name of its file."""

    name: str  # of the file, without a suffix
    svg: Markup
    caption: str


def standalone(svg: Markup) -> str:
    """Return the result of `svg` as the content of an SVG file, on white."""
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    style = "<style>svg { background: #fff } * { stroke-linejoin: round }</style>"
    opening, rest = str(svg).split(">", 1)
    return f"{opening.replace('<svg', f'<svg {namespaces}')}>{style}{rest}"


def svg(draw: Callable[[Figure], None], size_in: tuple[float, float], label: str) -> Markup:
    """Return an <svg> element that fits the given width and refers to nothing outside it."""
    buffer = io.StringIO()
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context(STYLE | {"svg.hashsalt": label}),  # ids differ between charts
    ):
        # Text stays text: whoever opens it has the glyphs, and no font of this machine is asked.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=size_in, layout="constrained")
        draw(figure)
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    drawn = buffer.getvalue()
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn[drawn.index("</defs>") + len("</defs>") :])
    width, height = (round(side * POINTS_PER_INCH, 1) for side in size_in)
    opening = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {} {}" style="max-width:{}px">')
    return opening.format(label, width, height, round(width * SCREEN_SCALE)) + Markup(drawn)
