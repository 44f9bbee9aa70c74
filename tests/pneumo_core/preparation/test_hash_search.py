import numpy as np
import pytest

from pneumo_core.preparation import hash_search
from pneumo_core.preparation.hash_search import Hashes, close_pairs

Pairs = set[tuple[int, int]]


def _hashes(num_hashes: int, max_flipped: int, seed: int = 0) -> Hashes:
    """Random ones; every third differs from the one before in 0 to `max_flipped` bits."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (num_hashes, 256), dtype=np.uint8)
    for copy in range(1, num_hashes, 3):
        bits[copy] = bits[copy - 1]
        bits[copy, rng.permutation(256)[: copy // 3 % (max_flipped + 1)]] ^= 1
    return np.packbits(bits, axis=1)


def _brute_force(queries: Hashes, base: Hashes, max_distance: int) -> Pairs:
    distances = np.bitwise_count(queries[:, None] ^ base[None]).sum(2, dtype=int)
    return set(zip(*(rows.tolist() for rows in np.nonzero(distances <= max_distance)), strict=True))


def _found(*arguments: object) -> Pairs:
    return set(zip(*(rows.tolist() for rows in close_pairs(*arguments)), strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("max_distance", [0, 10, 20])
def test_every_pair_within_the_certain_distance_is_found(max_distance: int) -> None:
    hashes = _hashes(600, max_flipped=max_distance + 4)
    expected = {(i, j) for i, j in _brute_force(hashes, hashes, max_distance) if i != j}
    assert len(expected) > 50
    assert _found(hashes, hashes, max_distance) == expected


@pytest.mark.slow
def test_pairs_at_a_wide_distance_are_missed_as_rarely_as_stated() -> None:
    hashes = _hashes(6000, max_flipped=40)
    expected = {(i, j) for i, j in _brute_force(hashes[:3000], hashes[:3000], 40) if i != j}
    found = _found(hashes[:3000], hashes[:3000], 40)
    assert found <= expected
    assert len(found) >= (1 - 2 * hash_search.MAX_MISS) * len(expected)


def test_blocks_of_candidates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = _hashes(300, max_flipped=10)
    whole = _found(hashes, hashes, 10)
    monkeypatch.setattr(hash_search, "BLOCK_CANDIDATES", 7)
    assert _found(hashes, hashes, 10) == whole


def test_queries_find_rows_of_another_set() -> None:
    base, queries = _hashes(90, 0), _hashes(90, 0, seed=1)
    queries[5] = base[70]
    assert _found(queries, base, 10) >= {(5, 70)}


def test_hashes_of_one_owner_are_no_pair() -> None:
    hashes = np.repeat(_hashes(1, 0), 4, axis=0)
    owners = np.array([0, 0, 1, 1])
    assert _found(hashes, hashes, 10, owners, owners) == {
        (i, j) for i in range(4) for j in range(4) if owners[i] != owners[j]
    }


@pytest.mark.parametrize(("num_queries", "num_base"), [(0, 0), (0, 3), (3, 0), (1, 1)])
def test_few_hashes_are_no_special_case(num_queries: int, num_base: int) -> None:
    assert _found(_hashes(num_queries, 0), _hashes(num_base, 0), 10) == set()
