from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from pneumo_core.arrays import Gray
from pneumo_core.preparation import variants
from pneumo_core.preparation.fingerprint import perceptual_hashes, thumbnail
from pneumo_core.preparation.variants import PARTIAL, WHOLE, Variant

VARIANTS = WHOLE + PARTIAL

Film = Callable[..., Gray]


def test_the_film_itself_is_the_first_variant(film: Film) -> None:
    pixels = film(1)
    assert VARIANTS.count(Variant()) == 1
    np.testing.assert_array_equal(Variant()(pixels, aspect=1.3), pixels)


@pytest.mark.parametrize("size", [(400, 300), (300, 400), (512, 512)])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_guise_shows_the_thumbnail_of_a_film_that_was_altered_in_full(
    film: Film, variant: Variant, size: tuple[int, int]
) -> None:
    """Tilts and crops happen to films before anyone squashes them to a square."""
    width, height = size
    image = Image.fromarray(film(1, height, width))
    altered = ImageOps.mirror(image) if variant.mirrored else image
    altered = altered.rotate(variant.angle_deg, Image.Resampling.BICUBIC)
    left, top, right, bottom = variant.cut
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    altered = altered.resize(size, Image.Resampling.BICUBIC, box=box)
    altered = ImageOps.invert(altered) if variant.inverted else altered
    shown = variant(thumbnail(np.array(image)), width / height)
    assert variants.similarity(shown, thumbnail(np.array(altered))) > 0.97


def test_similarity_is_one_for_a_film_and_small_between_films(film: Film) -> None:
    assert variants.similarity(film(1), film(1)) == pytest.approx(1)
    assert max(abs(variants.similarity(film(1), film(seed))) for seed in range(2, 12)) < 0.6


def test_similarity_ignores_brightness_contrast_and_the_margin(film: Film) -> None:
    dimmed = (film(1) * 0.7 + 20).round().astype(np.uint8)
    framed = film(1).copy()
    framed[:4], framed[-4:] = 0, 255
    assert variants.similarity(film(1), dimmed) > 0.99
    assert variants.similarity(film(1), framed) > 0.9


def test_blank_films_are_not_alike() -> None:
    blank = np.full((64, 64), 7, np.uint8)
    assert variants.similarity(blank, blank) == 0


def test_hash_under_a_guise_is_that_of_the_thumbnail_in_it(film: Film) -> None:
    """Those of mirrored films are derived, not computed."""
    thumbnails = np.stack([film(seed) for seed in range(5)])
    aspects = np.linspace(0.7, 1.4, 5)
    found = variants.hashes(thumbnails, aspects, VARIANTS)
    for variant, each in zip(VARIANTS, found, strict=True):
        shown = np.stack([variant(t, a) for t, a in zip(thumbnails, aspects, strict=True)])
        differing = np.bitwise_count(each ^ perceptual_hashes(shown)).sum(1)
        assert differing.max() <= 6, variant
