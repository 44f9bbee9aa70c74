"""Pins: in which split each patient was once, so that no one who judged a model ever trains one.

A patient is pinned by its key and its wider group, a film of an unknown patient by its bytes; all
as hashes with the project's salt (`pneumo_core/salt.py`), so that nobody finds a number by trying.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from pneumo_core.atomic import write_json
from pneumo_core.errors import SaltError, SplitError
from pneumo_core.labels import SPLITS
from pneumo_core.salt import fingerprint, keyed
from pneumo_core.sources.patients import UNKNOWN

SALT = "salt"  # key of the file: the fingerprint of the salt; null without pins
STRONGEST_FIRST = ("test", "val", "train")  # whom test has once, it keeps


@dataclass(frozen=True)
class Pins:
    salt: bytes = field(repr=False)
    split_of: Mapping[str, str] = field(default_factory=dict)  # by the hash of a patient

    def groups(self, films: pd.DataFrame) -> dict[str, set[str]]:
        """Return the patient groups of each split; a group with pins of several is in the first.

        The order is test, val, train: a patient never leaves test.
        """
        pinned = _identities(films, self.salt)
        pinned["split"] = pinned["hash"].map(dict(self.split_of))
        groups: dict[str, set[str]] = {}
        for split in STRONGEST_FIRST:
            here = set(pinned.loc[pinned["split"] == split, "group"].astype(str))
            groups[split] = here.difference(*groups.values())
        return groups

    def with_splits(self, films: pd.DataFrame) -> "Pins":
        """Return these pins, and those of the films in their splits; absent patients stay."""
        now = _identities(films, self.salt)
        dealt = dict(zip(now["hash"], now["split"], strict=True))
        return replace(self, split_of=dict(self.split_of) | dealt)


def read(path: Path, salt: bytes) -> Pins:
    """Return the pins; none where there is no file.

    Raises:
        SplitError: the file was damaged, or names a patient in two splits.
        SaltError: it has pins by another salt, so nobody would be known again.
    """
    if not path.is_file():
        return Pins(salt)
    try:
        content = json.loads(path.read_bytes())
        made_with = content.pop(SALT, None)
        pairs = [(name, split) for split in SPLITS for name in content[split]]
        sound = set(content) == set(SPLITS) and all(isinstance(name, str) for name, _ in pairs)
    except (ValueError, TypeError, KeyError, AttributeError):
        sound, pairs = False, []
    if not sound or len(dict(pairs)) != len(pairs):
        raise SplitError(
            f"{path} is damaged or names a patient in two splits: restore it from git "
            f"(git checkout {path}), or delete it to deal all patients anew."
        )
    if pairs and made_with != fingerprint(salt):
        raise SaltError(
            f"{path} was made with another salt, so no patient in it would be known again: copy "
            "var/salt from where it was made, or give its content in PNEUMO_SALT. If it is lost, "
            f"delete {path} to deal all patients anew, also those of test."
        )
    return Pins(salt, dict(pairs))


def write(pins: Pins, path: Path) -> None:
    """Write the pins whole, with the same bytes for the same pins."""
    by_split = {
        split: sorted(name for name, there in pins.split_of.items() if there == split)
        for split in SPLITS
    }
    write_json(path, {SALT: fingerprint(pins.salt) if pins.split_of else None} | by_split)


def hash_of(name: str, salt: bytes) -> str:
    """Return what stands for a key, a group or `film:SHA-256` in the file."""
    return keyed(salt, "pin", name)


def _identities(films: pd.DataFrame, salt: bytes) -> pd.DataFrame:
    """Return `hash`, `group` and `split`, two rows a film."""
    by_bytes = "film:" + films["sha256"].astype(str)
    key = films["patient_key"].astype(str).where(films["patient_rule"] != UNKNOWN, by_bytes)
    group = films["patient_group"].astype(str)
    group = group.where(~group.isin(films["image_id"]), key)  # names of files come and go
    names = pd.concat([key, group], ignore_index=True)
    hashes = {name: hash_of(name, salt) for name in names.unique()}
    return pd.DataFrame(
        {
            "hash": names.map(hashes),
            "group": pd.concat([films["patient_group"]] * 2, ignore_index=True),
            "split": pd.concat([films["split"]] * 2, ignore_index=True),
        }
    )
