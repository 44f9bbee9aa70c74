from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest

from pneumo_core.arrays import Gray, Images
from pneumo_core.data.transforms import LIMITS
from pneumo_core.evaluation.shifted import SHIFT, shifted


@pytest.fixture
def few(film: Callable[..., Gray]) -> tuple[Images, list[str]]:
    films = np.stack([film(seed) for seed in range(6)])
    return films, [sha256(pixels.tobytes()).hexdigest() for pixels in films]


def test_every_film_is_altered_within_what_a_reader_would_tolerate(
    few: tuple[Images, list[str]],
) -> None:
    films, hashes = few
    moved = shifted(films, hashes)
    assert SHIFT.within(LIMITS)
    assert moved.shape == films.shape
    assert moved.dtype == films.dtype
    assert all((new != old).mean() > 0.5 for new, old in zip(moved, films, strict=True))


def test_a_film_is_altered_alike_whatever_stands_beside_it(few: tuple[Images, list[str]]) -> None:
    films, hashes = few
    together = shifted(films, hashes)
    backwards = shifted(films[::-1], hashes[::-1])[::-1]
    alone = shifted(films[2:3], hashes[2:3])
    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_array_equal(together[2:3], alone)


def test_two_films_are_altered_differently(few: tuple[Images, list[str]]) -> None:
    films, hashes = few
    same = np.stack([films[0]] * 2)
    first, second = shifted(same, hashes[:2])
    assert (first != second).any()
