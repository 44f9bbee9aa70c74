"""Pairs of films whose pictures look the same.

The hashes of the films and the pairs are remembered, so a later search looks only for pairs with a
new film. A pair is found by its own two hashes and the chunks of bits that the search compares. So
what is remembered holds as long as code, limits and chunks are the same, and the result is that of
a search among all films.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pneumo_core.arrays import Gray, Stack
from pneumo_core.atomic import replacing_file
from pneumo_core.params import DedupParams
from pneumo_core.preparation import variants
from pneumo_core.preparation.fingerprint import NUM_BITS, THUMBNAIL_SIDE_PX, thumbnail
from pneumo_core.preparation.hash_search import chunks, close_pairs
from pneumo_core.preparation.variants import BASE, PARTIAL, WHOLE
from pneumo_core.versions import PIXELS, method_sha256

VARIANTS = (*BASE, *WHOLE, *PARTIAL)

Rows = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint8]  # [variants, films, 32]


@dataclass(frozen=True)
class Memory:
    """What a search among films leaves for the next one."""

    keys: npt.NDArray[np.bytes_]  # [films]: pixels and size of each
    hashes: Hashes  # under all VARIANTS
    pairs: Rows  # [pairs, 2]: films that look the same, by their places here

    @classmethod
    def read(cls, path: Path | None, rule: str) -> "Memory":
        """Return what a search by the same rule left in the file, or a memory of no film."""
        try:
            if path is not None and path.is_file():
                with path.open("rb") as file, np.load(file) as found:
                    if str(found["rule"]) == rule:
                        return cls(found["keys"], found["hashes"], found["pairs"])
        except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile):
            pass  # damaged: all is searched anew
        nothing = np.empty((len(VARIANTS), 0, NUM_BITS // 8), np.uint8)
        return cls(np.empty(0, np.bytes_), nothing, np.empty((0, 2), np.int64))

    def write(self, path: Path, rule: str) -> None:
        with replacing_file(path) as draft, draft.open("wb") as file:
            np.savez(file, rule=rule, keys=self.keys, hashes=self.hashes, pairs=self.pairs)

    def places_of(self, keys: npt.NDArray[np.bytes_]) -> Rows:
        """Return the place here of each film, [films]; -1 for one that was not searched."""
        places: Rows = pd.Index(self.keys).get_indexer(pd.Index(keys)).astype(np.int64)
        return places


def near_pairs(
    films: pd.DataFrame, images: Stack, params: DedupParams, memory: Path | None
) -> Rows:
    """Return the places [P, 2] in the table of films whose pictures look the same, each pair once.

    Args:
        films: rows of the manifest with different pixels.
        memory: the file with what an earlier search left; None searches among all and leaves none.
    """
    aspects = (films["width_px"] / films["height_px"]).to_numpy(np.float64)
    packed_rows = films["packed_row"].to_numpy()
    keys = _keys(films)
    rule = _rule(len(films), images, params)
    before = Memory.read(memory, rule)
    place_before = before.places_of(keys)
    old, new = np.flatnonzero(place_before >= 0), np.flatnonzero(place_before < 0)

    def thumbnail_of(film: int) -> Gray:
        return thumbnail(images[packed_rows[film]])

    thumbnails = np.empty((len(new), THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX), np.uint8)
    for place, film in enumerate(new.tolist()):
        thumbnails[place] = thumbnail_of(film)
    hashes = np.empty((len(VARIANTS), len(films), NUM_BITS // 8), np.uint8)
    hashes[:, old] = before.hashes[:, place_before[old]]
    hashes[:, new] = variants.hashes(thumbnails, aspects[new], VARIANTS)

    place_now = np.full(len(before.keys), -1, np.int64)
    place_now[place_before[old]] = old
    known = place_now[before.pairs]
    shown = cache(thumbnail_of)
    found = [
        (i, j)
        for variant, i, base_variant, j in _candidates(hashes, old, new, params)
        if variants.similarity(
            VARIANTS[variant](shown(i), aspects[i]), VARIANTS[base_variant](shown(j), aspects[j])
        )
        >= params.min_similarity
    ]
    pairs = np.concatenate([known[(known >= 0).all(1)], np.array(found, np.int64).reshape(-1, 2)])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    if memory is not None and not np.array_equal(keys, before.keys):
        Memory(keys, hashes, pairs).write(memory, rule)
    return pairs


def _keys(films: pd.DataFrame) -> npt.NDArray[np.bytes_]:
    sizes = films["width_px"].astype(str) + "x" + films["height_px"].astype(str)
    keys: npt.NDArray[np.bytes_] = (films["pixel_sha256"] + " " + sizes).to_numpy(np.bytes_)
    return keys


def _searches(params: DedupParams) -> Iterator[tuple[int, int, int]]:
    """Yield the first variant that is looked up, the one after the last, the largest distance."""
    whole = len(BASE) + len(WHOLE)
    yield len(BASE), whole, params.max_hash_distance_bits
    yield whole, len(VARIANTS), params.max_partial_distance_bits


def _rule(num_films: int, images: Stack, params: DedupParams) -> str:
    """Return all that a pair of two films depends on, except the films."""
    method = method_sha256("preparation.near_pairs", PIXELS)
    widths = [len(chunks(len(BASE) * num_films, bits)[0]) for *_, bits in _searches(params)]
    return f"{method} {images.shape[1:]} {params.model_dump_json()} {widths}"


def _candidates(
    hashes: Hashes, old: Rows, new: Rows, params: DedupParams
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (variant, film, base variant, film) of close hashes of two films, one of them new."""
    num_films = hashes.shape[1]
    for first, end, max_distance in _searches(params):
        bits = chunks(len(BASE) * num_films, max_distance)
        for queries, base in ((new, np.arange(num_films)), (old, new)):
            found = close_pairs(
                hashes[first:end, queries].reshape(-1, hashes.shape[2]),
                hashes[: len(BASE), base].reshape(-1, hashes.shape[2]),
                max_distance,
                np.tile(queries, end - first),
                np.tile(base, len(BASE)),
                bits,
            )
            for query_row, base_row in zip(*(rows.tolist() for rows in found), strict=True):
                variant, query = divmod(query_row, len(queries))
                base_variant, other = divmod(base_row, len(base))
                yield first + variant, int(queries[query]), base_variant, int(base[other])
