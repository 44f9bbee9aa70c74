"""Find all pairs of 256-bit hashes within a Hamming distance, in time close to linear.

Locality-sensitive hashing by sampled bits (Indyk & Motwani 1998): the bits are shuffled and cut
into chunks, and only hashes that agree in a whole chunk are compared. A pair within fewer bits
than there are chunks agrees in one of them for certain (the pigeonhole principle, as in Norouzi et
al., "Fast search in Hamming space with multi-index hashing", 2012); for wider distances the shuffle
is repeated until a pair at the very limit is missed with a probability under `MAX_MISS`.
"""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from pneumo_core.preparation.fingerprint import NUM_BITS

MAX_MISS = 1e-3
MIN_CHUNK_BITS, MAX_CHUNK_BITS = 12, 24
SPARE_BITS = 3  # buckets hold an eighth of a chance collision each
BLOCK_QUERIES = 1 << 16  # looked up at once: they fit the cache
BLOCK_CANDIDATES = 1 << 20  # compared at once
SEED = 0

Hashes = npt.NDArray[np.uint8]  # [N, 32], packed
Bytes = npt.NDArray[np.uint8]  # [32, N]: a byte of all hashes lies together
Rows = npt.NDArray[np.int64]


def close_pairs(
    queries: Hashes,
    base: Hashes,
    max_distance: int,
    query_owners: Rows | None = None,
    base_owners: Rows | None = None,
    compared: list[Rows] | None = None,
) -> tuple[Rows, Rows]:
    """Return rows of queries and of base, [P] and [P], that differ in at most `max_distance` bits.

    Two hashes of one owner are not a pair; without owners, each row is its own owner.

    Args:
        compared: the chunks of bits; those for the size of the base are the default. Whether a pair
            is found depends on its two hashes and on these, and on no other hash.
    """
    if not len(queries) or not len(base):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    compared = chunks(len(base), max_distance) if compared is None else compared
    query_owners = np.arange(len(queries)) if query_owners is None else query_owners
    base_owners = np.arange(len(base)) if base_owners is None else base_owners
    query_words, base_words = _words(queries), _words(base)
    query_bytes, base_bytes = _bytes(queries), _bytes(base)

    def in_chunk(positions: Rows) -> Rows:
        """Return the pairs that agree in the chunk, each as one number for both rows."""
        close = [np.empty(0, np.int64)]
        for query_rows, base_rows in _agreeing(query_bytes, base_bytes, positions):
            differing = np.zeros(len(query_rows), np.uint8)
            for query_half, base_half in zip(query_words, base_words, strict=True):
                for query_word, base_word in zip(query_half, base_half, strict=True):
                    differing += np.bitwise_count(query_word[query_rows] ^ base_word[base_rows])
                near = np.flatnonzero(differing <= max_distance)  # few after the first half
                query_rows, base_rows = query_rows[near], base_rows[near]
                differing = differing[near]
            apart = query_owners[query_rows] != base_owners[base_rows]
            close.append(query_rows[apart] * len(base) + base_rows[apart])
        return np.unique(np.concatenate(close))

    found = np.empty(0, np.int64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy works without the GIL
        for close in pool.map(in_chunk, compared):
            found = np.union1d(found, close)  # most chunks find the same pairs
    return np.divmod(found, len(base))


def _words(hashes: Hashes) -> npt.NDArray[np.uint64]:
    """Return the halves [2, 2, N]; finer waves, in which films differ more, in the first."""
    words = np.ascontiguousarray(hashes).view(np.uint64)
    return np.ascontiguousarray(words.T[::-1]).reshape(2, 2, -1)


def _bytes(hashes: Hashes) -> Bytes:
    return np.ascontiguousarray(hashes.T)


def chunks(num_hashes: int, max_distance: int) -> list[Rows]:
    """Return the bit positions of each chunk, over as many shuffles as the distance needs.

    The number of hashes decides their width, from one power of two to the next.
    """
    width = math.ceil(math.log2(max(num_hashes, 2))) + SPARE_BITS
    width = min(max(width, MIN_CHUNK_BITS), MAX_CHUNK_BITS)
    certain_width = NUM_BITS // (max_distance + 1)
    if certain_width >= MIN_CHUNK_BITS:
        width = min(width, certain_width)
    num_chunks = NUM_BITS // width
    num_shuffles = 1
    if num_chunks <= max_distance:
        agrees = math.comb(NUM_BITS - max_distance, width) / math.comb(NUM_BITS, width)
        num_shuffles = math.ceil(math.log(MAX_MISS) / math.log1p(-agrees) / num_chunks)
    rng = np.random.default_rng(SEED)
    return [
        positions
        for _ in range(num_shuffles)
        for positions in rng.permutation(NUM_BITS)[: num_chunks * width].reshape(-1, width)
    ]


def _agreeing(queries: Bytes, base: Bytes, positions: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Yield rows of queries and base with equal bits at the positions, in blocks."""
    base_keys = _keys(base, positions)
    order = np.argsort(base_keys)
    sorted_keys = base_keys[order]
    bucket_starts = np.flatnonzero(np.diff(sorted_keys, prepend=~sorted_keys[:1]))
    bucket_sizes = np.diff(bucket_starts, append=len(order))
    bucket_of = np.zeros(1 << len(positions), np.int32)  # counted from 1; 0: no base hash has it
    bucket_of[sorted_keys[bucket_starts]] = np.arange(1, len(bucket_starts) + 1)
    for block in range(0, queries.shape[1], BLOCK_QUERIES):
        buckets = bucket_of[_keys(queries[:, block : block + BLOCK_QUERIES], positions)]
        rows = np.flatnonzero(buckets)
        buckets = buckets[rows] - 1
        starts, sizes = bucket_starts[buckets], bucket_sizes[buckets]
        ends = np.cumsum(sizes)
        first = 0
        while first < len(rows):
            done = ends[first - 1] if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + BLOCK_CANDIDATES, "right")))
            part = slice(first, last)
            places = np.repeat(starts[part] - ends[part] + sizes[part], sizes[part])
            places += np.arange(done, ends[last - 1])
            yield block + np.repeat(rows[part], sizes[part]), order[places]
            first = last


def _keys(hashes: Bytes, positions: Rows) -> npt.NDArray[np.uint32]:
    keys = np.zeros(hashes.shape[1], np.uint32)
    for position in positions:
        keys <<= 1
        keys |= hashes[position >> 3] >> np.uint8(7 - (position & 7)) & 1
    return keys
