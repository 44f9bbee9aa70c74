"""Charts are the same bytes each time, and refer to nothing outside them."""

import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from pneumo_core.charts import standalone, svg

LABEL = "a <label>"


def _draw(figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.plot([0, 1], [1, 0])
    axes.set_title("$x_1$")


def test_the_same_drawing_gives_the_same_bytes_with_text_as_text() -> None:
    drawn = svg(_draw, (3, 2), LABEL)
    assert drawn == svg(_draw, (3, 2), LABEL)
    assert "$x_1$" in drawn
    assert 'aria-label="a &lt;label&gt;"' in drawn
    assert not re.search(r"url\((?!#)", drawn)


def test_a_standalone_chart_is_a_document_of_its_own() -> None:
    root = ElementTree.fromstring(standalone(svg(_draw, (3, 2), LABEL)))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
