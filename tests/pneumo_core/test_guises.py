from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from pneumo_core import guises
from pneumo_core.fingerprint import thumbnail
from pneumo_core.guises import GUISES, Guise
from pneumo_core.images import Gray

Film = Callable[..., Gray]


def test_the_film_itself_is_the_first_guise(film: Film) -> None:
    pixels = film(1)
    assert GUISES.count(Guise()) == 1
    np.testing.assert_array_equal(Guise()(pixels, aspect=1.3), pixels)


@pytest.mark.parametrize("size", [(400, 300), (300, 400), (512, 512)])
@pytest.mark.parametrize("guise", GUISES, ids=str)
def test_a_guise_shows_the_thumbnail_of_a_film_that_was_altered_in_full(
    film: Film, guise: Guise, size: tuple[int, int]
) -> None:
    """Tilts and crops happen to films before anyone squashes them to a square."""
    width, height = size
    image = Image.fromarray(film(1, height, width))
    altered = ImageOps.mirror(image) if guise.mirrored else image
    altered = altered.rotate(guise.angle_deg, Image.Resampling.BICUBIC)
    margin_x, margin_y = (side * (1 - 1 / guise.zoom) / 2 for side in size)
    box = (margin_x, margin_y, width - margin_x, height - margin_y)
    altered = altered.resize(size, Image.Resampling.BICUBIC, box=box)
    shown = guise(thumbnail(np.array(image)), width / height)
    assert guises.likeness(shown, thumbnail(np.array(altered))) > 0.97


def test_likeness_is_one_for_a_film_and_small_between_films(film: Film) -> None:
    assert guises.likeness(film(1), film(1)) == pytest.approx(1)
    assert max(abs(guises.likeness(film(1), film(seed))) for seed in range(2, 12)) < 0.6


def test_likeness_ignores_brightness_contrast_and_the_margin(film: Film) -> None:
    dimmed = (film(1) * 0.7 + 20).round().astype(np.uint8)
    framed = film(1).copy()
    framed[:4], framed[-4:] = 0, 255
    assert guises.likeness(film(1), dimmed) > 0.99
    assert guises.likeness(film(1), framed) > 0.9


def test_blank_films_are_not_alike() -> None:
    blank = np.full((64, 64), 7, np.uint8)
    assert guises.likeness(blank, blank) == 0
