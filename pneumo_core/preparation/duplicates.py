"""Duplicates among the films: exact ones, near ones, and what each of them means for the splits.

Keeper rule, the same on every run: of films with the same pixels the one in test stays before the
one in validation before the one in train, then the first in the source's order. A near-duplicate of
a test film cannot be trained on and goes too; other near-duplicates stay and the split keeps them
together.

Label conflict: one picture under both labels. Nobody knows which label is right, so films with the
same pixels are all quarantined, those in test too. Of near-duplicates, those outside test are
quarantined, and those in test stay: two films that only look alike may differ in the finding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pneumo_core.arrays import Stack
from pneumo_core.data import manifest
from pneumo_core.data.images import decode
from pneumo_core.params import DedupParams
from pneumo_core.preparation.fingerprint import pixel_sha256
from pneumo_core.preparation.near_pairs import near_pairs

Read = Callable[[str], bytes]  # the bytes of a file by its `path`


@dataclass(frozen=True)
class Duplicates:
    """Groups of image ids, each in the keeper's order."""

    exact: list[list[str]]
    near: list[list[str]]  # of each exact group only the keeper
    label_conflicts: list[list[str]]  # groups of both kinds whose pictures have both labels
    across_splits: list[list[str]]  # groups of both kinds with films in several splits


def find_duplicates(
    table: pd.DataFrame,
    images: Stack,
    read: Read,
    params: DedupParams,
    memory: Path | None = None,
) -> Duplicates:
    """Exact duplicates have the same decoded pixels, whatever the file; near ones look the same.

    Args:
        memory: what an earlier search left, and what this one leaves; see `near_pairs`.
    """
    films = _in_keeper_order(manifest.kept(table)).reset_index(drop=True)
    distinct = films.drop_duplicates("pixel_sha256")
    keepers = distinct.index.to_numpy()
    first, second = keepers[near_pairs(distinct, images, params, memory)].T
    same = [_same_in_full(films, i, j, read) for i, j in zip(first, second, strict=True)]
    of_pixels = films.groupby("pixel_sha256", sort=False).ngroup().to_numpy()
    is_same = np.array(same, bool)
    exact = _clusters(
        len(films),
        np.concatenate([keepers[of_pixels], first[is_same]]),
        np.concatenate([np.arange(len(films)), second[is_same]]),
    )
    keeper_of = pd.Series(films.index).groupby(exact).transform("first").to_numpy()
    near = _clusters(len(films), keeper_of[first], keeper_of[second])
    distinct = keeper_of == films.index
    exact_groups = _groups(films["image_id"], exact)
    near_groups = _groups(films.loc[distinct, "image_id"], near[distinct])
    alike = pd.Series(near[keeper_of], films["image_id"])  # exact duplicates with their keeper

    def mixed(column: str) -> list[list[str]]:
        values = films.set_index("image_id")[column]
        num_alike = alike.map(values.groupby(alike).nunique())
        return sorted(
            [group for group in exact_groups if values[group].nunique() > 1]
            + [group for group in near_groups if num_alike[group[0]] > 1]
        )

    return Duplicates(exact_groups, near_groups, mixed("label"), mixed("split"))


def remove_duplicates(table: pd.DataFrame, found: Duplicates) -> pd.DataFrame:
    """Return the manifest with duplicates and label conflicts marked, every row still there.

    The patients of films that look alike become one `patient_group`.
    """
    cleaned = table.set_index("image_id", drop=False)
    for group in found.exact:
        _mark(cleaned, group, group[1:], "same pixels")
    for group in found.near:
        if cleaned.at[group[0], "split"] == "test":
            outside = [i for i in group if cleaned.at[i, "split"] != "test"]
            _mark(cleaned, group, outside, "near-duplicate of a test film")
    for group in found.label_conflicts:
        exact = group in found.exact
        suspects = [i for i in group if exact or cleaned.at[i, "split"] != "test"]
        cleaned.loc[suspects, "state"] = manifest.QUARANTINED
        cleaned.loc[suspects, "reason"] = (
            f"label conflict: one picture under both labels: {', '.join(group)}"
        )
        cleaned.loc[suspects, "duplicate_of"] = None
    for group in found.exact + found.near:
        tied = cleaned["patient_group"].isin(cleaned.loc[group, "patient_group"])
        cleaned.loc[tied, "patient_group"] = cleaned.loc[tied, "patient_group"].iloc[0]
    cleaned = cleaned.reset_index(drop=True)
    manifest.check_counting_law(table, cleaned)
    return cleaned


def _mark(cleaned: pd.DataFrame, group: list[str], duplicates: list[str], reason: str) -> None:
    cleaned.loc[duplicates, "state"] = manifest.DUPLICATE
    cleaned.loc[duplicates, "reason"] = reason
    cleaned.loc[duplicates, "duplicate_of"] = group[0]


def _in_keeper_order(films: pd.DataFrame) -> pd.DataFrame:
    rank = films["split"].map({"test": 0, "val": 1, "train": 2})
    return films.loc[rank.sort_values(kind="stable").index]


def _same_in_full(films: pd.DataFrame, i: int, j: int, read: Read) -> bool:
    """Return whether every decoded pixel is the same.

    The packing may have read a JPEG at a lower scale than a lossless duplicate of it.
    """
    pair = films.loc[[i, j]]
    if pair[["width_px", "height_px"]].duplicated().sum() != 1:
        return False
    max_pixels = int(pair["width_px"].iloc[0] * pair["height_px"].iloc[0])
    hashes = {pixel_sha256(decode(read(path), max_pixels).pixels) for path in pair["path"]}
    return len(hashes) == 1


def _clusters(
    num_films: int, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    links = coo_array((np.ones(len(first)), (first, second)), shape=(num_films, num_films))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _groups(image_ids: pd.Series, cluster: npt.NDArray[np.int64]) -> list[list[str]]:
    return sorted(list(ids) for _, ids in image_ids.groupby(cluster, sort=False) if len(ids) > 1)
