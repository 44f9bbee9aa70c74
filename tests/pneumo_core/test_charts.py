"""Charts are the same bytes each time, and refer to nothing outside them."""

import re
from xml.etree import ElementTree

import numpy as np
from matplotlib.figure import Figure

from pneumo_core.charts import overlay, standalone, svg

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


def test_a_film_is_bare_where_nothing_speaks() -> None:
    film = np.full((2, 2), 100, np.uint8)
    mixed = overlay(film, np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert mixed.shape == (2, 2, 3)
    assert (mixed[0] == 100).all()
    assert (mixed[1, 1] != 100).any()
