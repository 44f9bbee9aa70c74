"""All pairs within 10 bits among random 256-bit hashes in which copies were planted.

python benchmarks/hash_search.py [--hashes 1000000] [--planted 1000]
python benchmarks/hash_search.py --films 300000

The second searches as dedup does: every film in 39 variants among all films, with and without their
margin. The hashes are drawn: bit by bit one value is as much more frequent than the other as among
60,000 phantom films, so a chunk holds as many hashes that agree by chance.
"""

import argparse
import resource
import time

import numpy as np

from pneumo_core.params import DedupParams
from pneumo_core.preparation.hash_search import close_pairs
from pneumo_core.preparation.near_pairs import VARIANTS, _candidates

MAX_DISTANCE = 10
UNEQUAL = (0.05, 0.95)  # bounds of the chance that a bit is set
CHANGED = 0.125  # of a film's bits in a variant of it
BLOCK_FILMS = 10_000


def draw(num_films: int) -> np.ndarray:
    """Hashes [variants, films, 32]."""
    rng = np.random.default_rng(0)
    chances = rng.uniform(*UNEQUAL, 256) * 256
    hashes = np.empty((len(VARIANTS), num_films, 32), np.uint8)
    for start in range(0, num_films, BLOCK_FILMS):
        block = hashes[:, start : start + BLOCK_FILMS]
        films = rng.integers(0, 256, (block.shape[1], 256), np.uint8) < chances
        for variant in block:
            changed = rng.integers(0, 256, films.shape, np.uint8) < CHANGED * 256
            variant[:] = np.packbits(films ^ changed, axis=1)
    return hashes


def search_films(num_films: int) -> None:
    hashes = draw(num_films)
    begun, cpu = time.perf_counter(), time.process_time()
    nobody = np.empty(0, np.int64)
    found = sum(1 for _ in _candidates(hashes, nobody, np.arange(num_films), DedupParams()))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(
        f"{num_films:,} films, {len(VARIANTS)} hashes each: {found} pairs, {seconds:.0f} s "
        f"({cpu:.0f} s of processors), {peak_gb():.2f} GB at most"
    )


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--planted", type=int, default=1_000)
    parser.add_argument("--films", type=int)
    asked = parser.parse_args()
    if asked.films:
        search_films(asked.films)
        return
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (asked.hashes, 32), dtype=np.uint8)
    planted = rng.permutation(asked.hashes)[: 2 * asked.planted].reshape(-1, 2)
    for number, (original, copy) in enumerate(planted):
        bits = np.unpackbits(hashes[original])
        bits[rng.permutation(256)[: number % (MAX_DISTANCE + 1)]] ^= 1
        hashes[copy] = np.packbits(bits)
    begun = time.perf_counter()
    first, second = close_pairs(hashes, hashes, MAX_DISTANCE)
    seconds = time.perf_counter() - begun
    found = {frozenset(pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}
    wanted = {frozenset(pair) for pair in planted.tolist()}
    print(
        f"{asked.hashes:,} hashes: {len(found & wanted)} of {len(wanted)} planted pairs found, "
        f"{len(found - wanted)} others, {seconds:.1f} s, {peak_gb():.2f} GB at most"
    )


if __name__ == "__main__":
    main()
