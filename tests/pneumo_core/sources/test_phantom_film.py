import numpy as np

from pneumo_core.arrays import Gray
from pneumo_core.sources.phantom_film import draw_film


def _film(subtype: str | None, seed: int = 0) -> Gray:
    return draw_film(np.random.default_rng(seed), np.random.default_rng([seed, 1]), subtype)


def test_a_film_follows_from_its_random_numbers() -> None:
    assert np.array_equal(_film("virus"), _film("virus"))
    assert not np.array_equal(_film("virus", 1)[:64, :64], _film("virus")[:64, :64])


def test_mean_and_spread_do_not_show_the_disease() -> None:
    films = {s: [_film(s, seed) for seed in range(40)] for s in (None, "bacteria", "virus")}
    for of in (np.mean, np.std):
        medians = [np.median([of(film) for film in each]) for each in films.values()]
        assert np.ptp(medians) < np.std([of(film) for film in films[None]])
