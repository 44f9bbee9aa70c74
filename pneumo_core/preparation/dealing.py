"""Deal whole patients to a split so that every stratum has its share (minimisation).

Patients come in the order of a hash. Each is dealt to the side that leaves the strata closer to
their shares, given all who were dealt before (Taves 1974; Pocock and Simon 1975). A stratum is a
label, or a label with one value of one column, such as PNEUMONIA and view AP.
"""

from collections.abc import Collection, Mapping
from hashlib import sha256

import numpy as np
import pandas as pd

from pneumo_core.data import manifest

AGE, SITE = f"{manifest.METADATA}age", f"{manifest.METADATA}site"
NOT_KNOWN = "not known"

Strata = list[tuple[int, int]]  # stratum and number of films of one patient group in it


def strata_columns(films: pd.DataFrame) -> list[str]:
    """Return the columns whose values should be alike in all splits: metadata, sites or origins."""
    columns = [c for c in manifest.metadata_columns(films) if films[c].notna().any()]
    several = SITE not in columns and films["origin"].nunique() > 1
    return columns + ["origin"] * several


def deal(
    films: pd.DataFrame,
    share: Mapping[str, float],
    inside: Collection[str],
    outside: Collection[str],
    seed: int,
) -> set[str]:
    """Return the patient groups of a split: those of `inside`, and those dealt to it.

    Args:
        films: kept films; their `patient_group` is dealt as a whole.
        share: part of the films of each label that the split should have, 0 to 1.
        outside: groups that may not join it.
    """
    strata, shares, weights = _strata(films, share)
    seen, taken = np.zeros(len(shares)).tolist(), np.zeros(len(shares)).tolist()
    chosen = set[str]()

    def settle(group: str, is_inside: bool) -> None:
        if is_inside:
            chosen.add(group)
        for stratum, num_films in strata[group]:
            seen[stratum] += num_films
            taken[stratum] += num_films * is_inside

    settled = [group for group in strata if group in inside or group in outside]
    for group in settled:
        settle(group, group in inside)
    for group in sorted(strata.keys() - set(settled), key=lambda name: _lot(name, seed)):
        # How much the squared distances from the shares grow if the group joins.
        growth = sum(
            weights[s] * n * (2 * taken[s] + n - 2 * shares[s] * (seen[s] + n))
            for s, n in strata[group]
        )
        settle(group, growth < 0)
    return chosen


def _lot(name: str, seed: int) -> bytes:
    return sha256(f"{seed}:{name}".encode()).digest()


def _strata(
    films: pd.DataFrame, share: Mapping[str, float]
) -> tuple[dict[str, Strata], list[float], list[int]]:
    """Return the strata of each patient group, and the share and the weight of each stratum.

    A label weighs as much as all columns together.
    """
    columns = strata_columns(films)
    parts = [_values(films, column).rename("value") for column in columns]
    label_of = [films["label"].astype(str)] * (1 + len(parts))
    values = [pd.Series("", films.index, name="value"), *parts]
    rows = pd.concat(
        [
            pd.DataFrame({"column": i, "label": label, "value": value})
            for i, (label, value) in enumerate(zip(label_of, values, strict=True))
        ],
        ignore_index=True,
    )
    rows["group"] = np.tile(films["patient_group"].astype(str).to_numpy(), len(values))
    keys = ["column", "label", "value"]
    rows["stratum"] = rows.groupby(keys, sort=True).ngroup()
    of_stratum = rows.drop_duplicates("stratum").sort_values("stratum")
    sizes = rows.groupby(["group", "stratum"], sort=True).size()
    strata: dict[str, Strata] = {}
    for (group, stratum), num_films in sizes.items():
        strata.setdefault(group, []).append((stratum, num_films))
    shares = [share[label] for label in of_stratum["label"]]
    weights = [max(1, len(columns)) if column == 0 else 1 for column in of_stratum["column"]]
    return strata, shares, weights


def _values(films: pd.DataFrame, column: str) -> pd.Series:
    values = manifest.age_groups(films[column]) if column == AGE else films[column]
    return values.astype(object).fillna(NOT_KNOWN).astype(str)
