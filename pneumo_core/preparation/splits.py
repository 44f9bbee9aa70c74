"""Put whole patients into train, validation and test.

Three ways: the source's own test split stays as it is; where the source has none, test is made;
or one site is held out as test (`split.hold_out_site`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd

from pneumo_core.data import manifest
from pneumo_core.data.leakage import BY_SOURCE, SplitOrigin
from pneumo_core.errors import SplitError
from pneumo_core.labels import LABELS, SPLITS, UNSPLIT
from pneumo_core.params import SplitParams
from pneumo_core.preparation.dealing import SITE, deal, strata_columns
from pneumo_core.preparation.pins import Pins

MAX_ATTEMPTS = 100
MAX_VAL_SHARE = 0.2  # of what test leaves of a class, so that validation does not eat train


@dataclass(frozen=True)
class Splits:
    table: pd.DataFrame  # the manifest, every row in train, val or test
    origin: SplitOrigin  # who made test, and how
    pins: Pins


def make_splits(table: pd.DataFrame, params: SplitParams, pins: Pins) -> Splits:
    """Return the manifest with its final splits.

    Raises:
        SplitError: there are too few films or patients, or no such site.
    """
    if params.hold_out_site is not None:
        return _hold_out(table, params.hold_out_site, params, pins)
    sources_own = set(table["source_split"])
    if UNSPLIT in sources_own or "test" not in sources_own:
        return _make_test(table, params, pins)
    return Splits(enlarge_validation(table, params), BY_SOURCE, pins)


def _make_test(table: pd.DataFrame, params: SplitParams, pins: Pins) -> Splits:
    """Deal whole patient groups to test, then to validation; all others are train.

    An origin that has its own test keeps it, and its other patients do not enter test.
    """
    films = manifest.kept(table)
    pinned = pins.groups(films)
    in_test = pinned["test"] | _groups(films, films["split"] == "test")
    has_own = set(table.loc[table["source_split"] == "test", "origin"])
    fixed = _groups(films, films["origin"].isin(has_own) & (films["source_split"] != UNSPLIT))
    pool = films[~films["patient_group"].isin(fixed - pinned["test"])]
    outside = pinned["val"] | pinned["train"] | _groups(films, films["split"] == "val")
    share = _test_share(pool, params)
    in_test |= deal(pool, share, in_test, outside - in_test, params.seed)
    split = _with_validation(table, in_test, pinned, params)
    _require_both_classes(split)
    sizes = {"fraction": params.test_fraction, "per_class": params.test_per_class}
    strata = [column.removeprefix(manifest.METADATA) for column in strata_columns(films)]
    origin: SplitOrigin = {"made_by": "pneumo", **sizes, "strata": strata}
    return Splits(split, origin, pins.with_splits(manifest.kept(split)))


def _test_share(pool: pd.DataFrame, params: SplitParams) -> dict[str, float]:
    if params.test_per_class is None:
        return dict.fromkeys(LABELS, params.test_fraction)
    counts = pool["label"].value_counts().reindex(list(LABELS), fill_value=0)
    if (counts <= params.test_per_class).any():
        raise SplitError(
            f"split.test_per_class = {params.test_per_class} is not possible: there are "
            f"{_by_class(counts)}, and train and validation must keep some of each class."
        )
    return {label: params.test_per_class / counts[label] for label in LABELS}


def _with_validation(
    table: pd.DataFrame, in_test: Collection[str], pinned: dict[str, set[str]], params: SplitParams
) -> pd.DataFrame:
    """Return the manifest with test as given, and about `val_per_class` of each class in val.

    Of a class validation takes at most `MAX_VAL_SHARE` of what test leaves, beside the patients
    who are in it already. These stay there, unless test has them.
    """
    films = manifest.kept(table)
    left = films[~films["patient_group"].isin(in_test)]
    counts = left["label"].value_counts()
    share = {
        label: min(params.val_per_class / counts.get(label, 1), MAX_VAL_SHARE) for label in LABELS
    }
    own = _groups(left, left["split"] == "val")
    in_val = deal(left, share, own | pinned["val"], pinned["train"] - own, params.seed)
    group = table["patient_group"]
    split = table.assign(split="train")
    split["split"] = (
        split["split"].mask(group.isin(in_val), "val").mask(group.isin(in_test), "test")
    )
    manifest.check_counting_law(table, split)
    return split


def _hold_out(table: pd.DataFrame, site: str, params: SplitParams, pins: Pins) -> Splits:
    """Leave one site out: all its films are test, and no other film is.

    Films of other sites that may not be trained on are left out: films of patients who are at the
    site too, the source's own test films, and films of patients pinned in test.
    """
    films = manifest.kept(table)
    sites = table.get(SITE, pd.Series(pd.NA, table.index)).fillna(table["origin"])
    held = sites == site
    if not held[films.index].any():
        there = ", ".join(sorted(set(sites[films.index])))
        raise SplitError(f"split.hold_out_site: no film is of {site!r}; the sites are {there}.")
    pinned = pins.groups(films)
    at_site = _groups(table, held)
    barred = table["patient_group"].isin(at_site | pinned["test"]) | (table["split"] == "test")
    left_out = (table["state"] == manifest.KEPT) & ~held & barred
    kept = table.copy()
    kept.loc[left_out, "state"] = manifest.QUARANTINED
    kept.loc[left_out, "reason"] = f"left out: {site} is held out (split.hold_out_site)"
    split = _with_validation(kept, at_site, pinned, params)
    _require_both_classes(split)
    origin: SplitOrigin = {"made_by": "site", "site": site, "left_out": int(left_out.sum())}
    return Splits(split, origin, pins)


def enlarge_validation(table: pd.DataFrame, params: SplitParams) -> pd.DataFrame:
    """Move whole patient groups from train to val until val has `val_per_class` of each class.

    The source's own validation films stay there; the other films of their patients follow them.
    Groups are those of possible patients (`patients.py`).

    Raises:
        SplitError: there are too few films, or no set of whole groups has exactly these sizes.
    """
    movable = manifest.kept(table)
    movable = movable[movable["split"] != "test"]
    sizes = (
        pd.crosstab(movable["patient_group"], movable["label"])
        .reindex(columns=list(LABELS), fill_value=0)
        .sort_index()
    )
    wanted = np.full(len(LABELS), params.val_per_class)
    pinned = sizes.index.isin(movable.loc[movable["split"] == "val", "patient_group"])
    missing = wanted - sizes[pinned].sum().to_numpy()
    spare = sizes[~pinned].sum().to_numpy() - missing
    if (missing < 0).any() or (spare <= 0).any():
        raise SplitError(
            f"split.val_per_class = {params.val_per_class} is not possible: train and validation "
            f"together hold {_by_class(sizes.sum())}, validation's own patients "
            f"{_by_class(sizes[pinned].sum())}, and train must keep some of each class."
        )
    chosen = _fill(sizes[~pinned], missing, params.seed)
    in_val = set(sizes.index[pinned]) | set(chosen)
    moved = table.copy()
    rows = (moved["split"] != "test") & moved["patient_group"].isin(in_val)
    moved.loc[moved["split"] != "test", "split"] = "train"
    moved.loc[rows, "split"] = "val"
    manifest.check_counting_law(table, moved)
    return moved


def _fill(sizes: pd.DataFrame, missing: np.ndarray, seed: int) -> list[str]:
    """Return groups in random order, each taken if it still fits, until all classes are full.

    The order is by a hash of each group's name. When films are added, most patients stay in their
    split, so that earlier validation films do not become training films.
    """
    counts = sizes.to_numpy()
    for attempt in range(MAX_ATTEMPTS):
        left = missing.copy()
        chosen = []
        lot = [sha256(f"{seed}:{attempt}:{name}".encode()).digest() for name in sizes.index]
        for index in sorted(range(len(lot)), key=lot.__getitem__):
            if (counts[index] <= left).all():
                left -= counts[index]
                chosen.append(str(sizes.index[index]))
            if not left.any():
                return chosen
    raise SplitError(
        f"No set of whole patients adds {_by_class(pd.Series(missing, sizes.columns))} to "
        f"validation exactly ({MAX_ATTEMPTS} orders tried): choose another split.val_per_class."
    )


def _groups(films: pd.DataFrame, chosen: pd.Series) -> set[str]:
    return set(films.loc[chosen, "patient_group"])


def _require_both_classes(table: pd.DataFrame) -> None:
    films = manifest.kept(table)
    counts = pd.crosstab(films["split"], films["label"])
    counts = counts.reindex(index=list(SPLITS), columns=list(LABELS), fill_value=0)
    lacking = [
        f"{split} has no {label}"
        for split in SPLITS
        for label in LABELS
        if not counts.loc[split, label]
    ]
    if lacking:
        raise SplitError(
            f"{', '.join(lacking)}: {_by_class(counts.sum())} films of "
            f"{films['patient_group'].nunique()} patients are too few for train, validation and "
            "test with both classes, or split.test_fraction or split.test_per_class does not fit."
        )


def _by_class(counts: pd.Series) -> str:
    return " + ".join(f"{int(count)} {label}" for label, count in counts.items())
