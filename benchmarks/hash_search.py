"""All pairs within 10 bits among random 256-bit hashes in which copies were planted.

python benchmarks/hash_search.py [--hashes 1000000] [--planted 1000]
"""

import argparse
import resource
import time

import numpy as np

from pneumo_core.preparation.hash_search import close_pairs

MAX_DISTANCE = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--planted", type=int, default=1_000)
    asked = parser.parse_args()
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{asked.hashes:,} hashes: {len(found & wanted)} of {len(wanted)} planted pairs found, "
        f"{len(found - wanted)} others, {seconds:.1f} s, {peak:.2f} GB at most"
    )


if __name__ == "__main__":
    main()
