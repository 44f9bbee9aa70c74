"""Make a validation set of whole patients, exactly balanced; the test set stays as it is."""

from hashlib import sha256

import numpy as np
import pandas as pd

from pneumo_core.data import manifest
from pneumo_core.errors import SplitError
from pneumo_core.labels import LABELS
from pneumo_core.params import SplitParams

MAX_ATTEMPTS = 100


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


def _by_class(counts: pd.Series) -> str:
    return " + ".join(f"{int(count)} {label}" for label, count in counts.items())
