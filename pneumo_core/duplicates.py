"""Copies among the films: exact ones, near ones, and what they would spoil.

Keeper rule, the same on every run: of films with the same pixels the one in test stays before the
one in validation before the one in train, then the smallest `image_id`. Where one picture carries
both labels, no copy outside test can be trusted and all of those are quarantined. Near-duplicates
stay; the split keeps them together.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pneumo_core import manifest
from pneumo_core.fingerprint import unpack_hashes
from pneumo_core.images import Gray, Images, resize
from pneumo_core.params import DedupParams

THUMBNAIL_SIDE_PX = 32
BLOCK_ROWS = 2048


@dataclass(frozen=True)
class Duplicates:
    """Groups of image ids, each sorted, those that stay first."""

    exact: list[list[str]]
    near: list[list[str]]
    label_conflicts: list[list[str]]  # exact groups with both labels
    across_splits: list[list[str]]  # exact or near groups with films in several splits


def find_duplicates(table: pd.DataFrame, images: Images, params: DedupParams) -> Duplicates:
    films = _in_keeper_order(manifest.kept(table))
    exact = [
        list(group["image_id"])
        for _, group in films.groupby("pixel_sha256", sort=False)
        if len(group) > 1
    ]
    distinct = films.drop_duplicates("pixel_sha256")
    near = _near_groups(distinct, images, params)
    by_id = films.set_index("image_id")
    return Duplicates(
        exact=sorted(exact),
        near=sorted(near),
        label_conflicts=[g for g in sorted(exact) if by_id.loc[g, "label"].nunique() > 1],
        across_splits=[g for g in sorted(exact + near) if by_id.loc[g, "split"].nunique() > 1],
    )


def remove_duplicates(table: pd.DataFrame, found: Duplicates) -> pd.DataFrame:
    """The manifest with copies marked, and the patients behind alike films tied into one group."""
    cleaned = table.set_index("image_id", drop=False)
    for group in found.exact:
        keeper, *copies = group
        if group in found.label_conflicts:
            copies = [i for i in group if cleaned.at[i, "split"] != "test"]
            cleaned.loc[copies, "state"] = manifest.QUARANTINED
            cleaned.loc[copies, "reason"] = f"both labels on the same pixels: {', '.join(group)}"
            continue
        cleaned.loc[copies, "state"] = manifest.DUPLICATE
        cleaned.loc[copies, "reason"] = "same pixels"
        cleaned.loc[copies, "duplicate_of"] = keeper
    for group in found.exact + found.near:
        tied = cleaned.loc[group, "patient_group"]
        cleaned.loc[cleaned["patient_group"].isin(tied), "patient_group"] = min(tied)
    cleaned = cleaned.reset_index(drop=True)
    manifest.check_counting_law(table, cleaned)
    return cleaned


def _in_keeper_order(films: pd.DataFrame) -> pd.DataFrame:
    rank = films["split"].map({"test": 0, "val": 1, "train": 2})
    return films.assign(rank=rank).sort_values(["rank", "image_id"]).drop(columns="rank")


def _near_groups(films: pd.DataFrame, images: Images, params: DedupParams) -> list[list[str]]:
    if films.empty:
        return []
    thumbnails = np.stack([_thumbnail(images[row]) for row in films["packed_row"]])
    first, second = _close_pairs(
        unpack_hashes(list(films["perceptual_hash"])), params.max_hash_distance_bits
    )
    alike = np.einsum("nd,nd->n", thumbnails[first], thumbnails[second]) >= params.min_correlation
    first, second = first[alike], second[alike]
    links = coo_array((np.ones(len(first)), (first, second)), shape=(len(films), len(films)))
    _, cluster = connected_components(links, directed=False)
    grouped = films["image_id"].groupby(cluster, sort=False)
    return [list(ids) for _, ids in grouped if len(ids) > 1]


def _thumbnail(pixels: Gray) -> npt.NDArray[np.float32]:
    """Centred and of unit length, so that a dot product is a correlation; [1024]."""
    thumbnail = resize(pixels, THUMBNAIL_SIDE_PX).astype(np.float32).ravel()
    thumbnail -= thumbnail.mean()
    return thumbnail / max(float(np.linalg.norm(thumbnail)), 1e-6)


def _close_pairs(
    bits: npt.NDArray[np.uint8], max_distance: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Index pairs (i < j) within a Hamming distance; blocks of a matrix product of ±1."""
    signs = bits.astype(np.float32) * 2 - 1
    min_product = signs.shape[1] - 2 * max_distance
    pairs = []
    for start in range(0, len(signs), BLOCK_ROWS):
        products = signs[start : start + BLOCK_ROWS] @ signs[start:].T
        i, j = np.nonzero(products >= min_product)
        pairs.append(np.stack([i, j])[:, j > i] + start)
    first, second = np.concatenate(pairs, axis=1)
    return first, second
