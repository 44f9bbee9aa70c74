"""Figures of a film whose answer is plain."""

import numpy as np
import pytest

from pneumo_core.data.film_statistics import NAMES, film_statistics


def test_film_statistics_by_hand() -> None:
    film = np.zeros((1, 32, 64), np.uint8)
    film[0, :, 32:] = 100
    found = dict(zip(NAMES, film_statistics(film)[0], strict=True))
    assert found["mean"] == found["std"] == found["border_top"] == 50
    assert (found["percentile_25"], found["percentile_75"]) == (0, 100)
    assert found["black_share"] == 0.5
    assert (found["corner_bottom_left"], found["corner_top_right"]) == (0, 100)
    assert found["border_right"] == 100
    assert found["sharpness"] == pytest.approx(100 / 63 / 2)
