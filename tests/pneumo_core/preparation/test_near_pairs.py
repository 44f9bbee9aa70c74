"""A search that remembers finds what a search among all finds, and looks only at new films."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo_core.arrays import Gray, Images
from pneumo_core.params import DedupParams
from pneumo_core.preparation import near_pairs as module
from pneumo_core.preparation import variants
from pneumo_core.preparation.fingerprint import pixel_sha256
from pneumo_core.preparation.near_pairs import near_pairs
from pneumo_core.preparation.variants import Variant

NUM_FILMS = 40  # of which every fourth is a copy, of the film before it
EVERYONE = range(NUM_FILMS)
PARAMS = DedupParams()
COPIES = (Variant(angle_deg=4), Variant(mirrored=True), Variant(cut=(0.05, 0, 0, 0)))

Search = Callable[..., set[frozenset[int]]]


@pytest.fixture(scope="module")
def films(film: Callable[..., Gray]) -> Images:
    shown = [film(seed) for seed in range(NUM_FILMS)]
    for copy in range(3, NUM_FILMS, 4):
        shown[copy] = COPIES[copy % len(COPIES)](shown[copy - 1], 1.0)
    return np.stack(shown)


@pytest.fixture
def search(make_table: Callable[..., pd.DataFrame], films: Images) -> Search:
    """The pairs among some of the films, by their numbers."""
    table = make_table(
        {
            "image_id": f"train/NORMAL/{number}.png",
            "pixel_sha256": pixel_sha256(films[number]),
            "width_px": 64,
            "height_px": 64,
        }
        for number in EVERYONE
    )

    def find(
        numbers: range | list[int], memory: Path | None = None, params: DedupParams = PARAMS
    ) -> set[frozenset[int]]:
        pairs = near_pairs(table.iloc[list(numbers)], films, params, memory)
        return {frozenset({numbers[i], numbers[j]}) for i, j in pairs}

    return find


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many films each call hashes."""
    counts: list[int] = []
    hashes = variants.hashes

    def spy(thumbnails: Images, *others: object) -> object:
        counts.append(len(thumbnails))
        return hashes(thumbnails, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(variants, "hashes", spy)
    return counts


# Orders in which a new film stands before, between and behind those of the first search.
FIRST = {
    "the last are new": list(range(30)),
    "the first are new": list(range(10, NUM_FILMS)),
    "copies are new": [number for number in EVERYONE if number % 4 != 3],
    "originals are new": [number for number in EVERYONE if number % 4 != 2],
    "all are new": [],
    "none is new": list(EVERYONE),
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_films_more_give_the_pairs_of_a_search_among_all(
    first: list[int], search: Search, looked_at: list[int], tmp_path: Path
) -> None:
    whole = search(EVERYONE)
    assert len(whole) >= NUM_FILMS // 4
    memory = tmp_path / "searched.npz"
    looked_at.clear()
    before = search(first, memory)
    assert before == {pair for pair in whole if pair <= set(first)}
    assert search(EVERYONE, memory) == whole
    assert looked_at == [len(first), NUM_FILMS - len(first)]


def test_films_fewer_take_their_pairs_with_them(
    search: Search, looked_at: list[int], tmp_path: Path
) -> None:
    memory = tmp_path / "searched.npz"
    whole = search(EVERYONE, memory)
    few = [number for number in reversed(EVERYONE) if number not in (2, 7)]
    assert search(few, memory) == {pair for pair in whole if pair <= set(few)} < whole
    assert search(EVERYONE, memory) == whole
    assert looked_at == [NUM_FILMS, 0, 2]


def test_pairs_between_old_films_are_not_searched_again(
    search: Search, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory = tmp_path / "searched.npz"
    search(EVERYONE[:-1], memory)
    compared: list[tuple[int, int]] = []
    close_pairs = module.close_pairs

    def spy(queries: Images, base: Images, *others: object) -> object:
        compared.append((len(queries), len(base)))
        return close_pairs(queries, base, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "close_pairs", spy)
    search(EVERYONE, memory)
    old, new = NUM_FILMS - 1, 1
    assert compared == [
        (3 * new, 2 * NUM_FILMS),
        (3 * old, 2 * new),
        (36 * new, 2 * NUM_FILMS),
        (36 * old, 2 * new),
    ]


@pytest.mark.parametrize(
    "params",
    [
        DedupParams(max_hash_distance_bits=10),
        DedupParams(max_partial_distance_bits=10),
        DedupParams(min_similarity=0.99),
    ],
)
def test_other_limits_search_anew(params: DedupParams, search: Search, tmp_path: Path) -> None:
    memory = tmp_path / "searched.npz"
    search(EVERYONE, memory)
    assert search(EVERYONE, memory, params) == search(EVERYONE, None, params)


def test_other_chunks_search_anew(
    search: Search, looked_at: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    memory = tmp_path / "searched.npz"
    whole = search(EVERYONE, memory)
    monkeypatch.setattr("pneumo_core.preparation.hash_search.MIN_CHUNK_BITS", 13)
    assert search(EVERYONE, memory) == whole
    assert looked_at == [NUM_FILMS, NUM_FILMS]


@pytest.mark.parametrize("kept_bytes", [0, 100, -100])
def test_a_damaged_memory_is_made_anew(kept_bytes: int, search: Search, tmp_path: Path) -> None:
    memory = tmp_path / "searched.npz"
    whole = search(EVERYONE, memory)
    good = memory.read_bytes()
    memory.write_bytes(good[:kept_bytes])
    assert search(EVERYONE, memory) == whole
    assert memory.read_bytes()[:kept_bytes] == good[:kept_bytes]
