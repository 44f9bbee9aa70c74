"""The leakage certificate: whether the training films and the films that judge a model are apart.

Two strengths of patient links (`patients.py`): *confirmed* where films share a patient key,
*possible* where they share the wider group, which includes the confirmed ones. A link across splits
is counted in images of the later split, in the order train, val, test.
"""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from pneumo_core.data import manifest
from pneumo_core.data.leakage import (
    BY_SOURCE,
    CERTIFICATE_VERSION,
    NOT_VALID,
    PATIENTS_UNKNOWN,
    VALID,
    Certificate,
    SplitOrigin,
    all_known,
    data_sha256,
    test_split_hash,
)
from pneumo_core.labels import LABELS, SPLITS, UNSPLIT
from pneumo_core.preparation.duplicates import Duplicates
from pneumo_core.sources.patients import UNKNOWN

LINKS = {"confirmed": "patient_key", "possible": "patient_group"}

Groups = list[list[str]]
Fault = dict[str, Any]  # `kind`: a key of leakage.FAULTS; and what its sentence names


def certify(
    table: pd.DataFrame,
    found: Duplicates,
    pinned_test_hash: str | None = None,
    accept_unknown_patients: bool = False,
    split_origin: SplitOrigin = BY_SOURCE,
) -> Certificate:
    """Return the certificate of the kept films of `table` in their splits.

    Args:
        found: result of `find_duplicates` for this table, or for an earlier state of it.
        pinned_test_hash: the expected hash of the test split; None expects nothing.
        accept_unknown_patients: recorded; it lets training begin, and changes no finding.
        split_origin: recorded; who made the test split.
    """
    films = manifest.kept(table).set_index("image_id", drop=False)
    split_of = films["split"].to_dict()
    found_of = {"exact_duplicates": found.exact, "near_duplicates": found.near}
    groups = {what: _of_kept(each, split_of) for what, each in found_of.items()}
    across = {what: _across_splits(each, split_of) for what, each in groups.items()}
    in_conflict = [g for g in groups["exact_duplicates"] if films.loc[g, "label"].nunique() > 1]
    patients = {strength: _linked_images(films, column) for strength, column in LINKS.items()}
    certificate: Certificate = {
        "certificate_version": CERTIFICATE_VERSION,
        "pneumo_version": version("pneumo"),
        "data_sha256": data_sha256(table),
        "test_split_hash": test_split_hash(films[films["split"] == "test"]),
        "pinned_test_split_hash": pinned_test_hash,
        "split_origin": split_origin,
        "counts": _counts(films),
        **{what: _group_counts(each, across[what]) for what, each in groups.items()},
        "patients": _known(films)
        | {f"{strength}_across_splits": len(images) for strength, images in patients.items()},
        "accept_unknown_patients": accept_unknown_patients,
        "label_conflicts": len(found.label_conflicts),
        "label_conflicts_in_use": len(in_conflict),
        "steps": _steps(table),
    }
    faults = [*_empty_splits(table), *_faults(certificate)]
    return dict(certificate) | {
        **_verdict(certificate, faults),
        "lists": {
            **groups,
            **{f"{what}_across_splits": each for what, each in across.items()},
            "label_conflicts": found.label_conflicts,
            **{f"{strength}_across_splits": images for strength, images in patients.items()},
            **_left_out(table),
        },
    }


def _verdict(certificate: Certificate, faults: list[Fault]) -> dict[str, Any]:
    state = NOT_VALID if faults else VALID if all_known(certificate) else PATIENTS_UNKNOWN
    return {"valid": state == VALID, "state": state, "faults": faults}


def _of_kept(groups: Groups, split_of: Mapping[str, str]) -> Groups:
    """Return what is left of the groups among the kept films, where more than one is left."""
    left = [[image_id for image_id in group if image_id in split_of] for group in groups]
    return [group for group in left if len(group) > 1]


def _across_splits(groups: Groups, split_of: Mapping[str, str]) -> Groups:
    return [group for group in groups if len({split_of[image_id] for image_id in group}) > 1]


def _steps(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = manifest.count_steps(table, "label", "subtype").to_dict("records")
    return [row | {"subtype": row["subtype"] or None} for row in rows]


def _known(films: pd.DataFrame) -> dict[str, Any]:
    known = films[films["patient_rule"] != UNKNOWN]
    rules = known["patient_rule"].value_counts()
    return {
        "films": len(films),
        "known": len(known),
        "num_patients": known["patient_key"].nunique(),
        "rules": {str(rule): int(rules[rule]) for rule in sorted(rules.index)},
    }


def _empty_splits(table: pd.DataFrame) -> list[Fault]:
    """Return a fault for each split without a film: train, test, and the source's own splits."""
    there = set(manifest.kept(table)["split"])
    if UNSPLIT in set(table["split"]):
        return [{"kind": "not_split" if there else "no_film"}]
    wanted = {"train", "test", *table["source_split"]} - there
    return [{"kind": "empty_split", "split": split} for split in SPLITS if split in wanted]


def _counts(films: pd.DataFrame) -> dict[str, dict[str, int]]:
    counted = pd.crosstab(films["split"], films["label"])
    counted = counted.reindex(index=list(SPLITS), columns=list(LABELS), fill_value=0)
    return {split: {label: int(n) for label, n in row.items()} for split, row in counted.iterrows()}


def _linked_images(films: pd.DataFrame, column: str) -> list[str]:
    """Return the images whose patient is in an earlier split too."""
    linked: list[str] = []
    for place, split in enumerate(SPLITS):
        earlier = films.loc[films["split"].isin(SPLITS[:place]), column]
        here = films[films["split"] == split]
        linked += here.loc[here[column].isin(set(earlier)), "image_id"].tolist()
    return linked


def _group_counts(groups: Groups, across: Groups) -> dict[str, int]:
    return {
        "groups": len(groups),
        "extra_files": sum(len(group) - 1 for group in groups),
        "groups_across_splits": len(across),
    }


def _faults(certificate: Certificate) -> list[Fault]:
    numbers = {
        "exact_duplicates": certificate["exact_duplicates"]["groups_across_splits"],
        "near_duplicates": certificate["near_duplicates"]["groups_across_splits"],
        "patients": certificate["patients"]["confirmed_across_splits"],
        "labels": certificate["label_conflicts_in_use"],
    }
    faults: list[Fault] = [
        {"kind": kind, "number": number} for kind, number in numbers.items() if number
    ]
    pinned, found = certificate["pinned_test_split_hash"], certificate["test_split_hash"]
    if pinned not in (None, found):
        faults.append({"kind": "other_test", "found": found[:12], "pinned": pinned[:12]})
    return faults


def _left_out(table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return why a film is not kept, by `image_id`."""
    states = {"quarantined": manifest.QUARANTINED, "duplicates": manifest.DUPLICATE}
    rows_of = {what: table[table["state"] == state] for what, state in states.items()}
    return {
        what: dict(zip(rows["image_id"], rows["reason"].astype(str), strict=True))
        for what, rows in rows_of.items()
    }
