"""Put whole patients into the splits, pin them, and write the leakage certificate."""

from dataclasses import replace

import pandas as pd

from pneumo_core import salt
from pneumo_core.atomic import read_json, write_json
from pneumo_core.data import manifest
from pneumo_core.data.leakage import patients_sentence, split_sentence, verdict
from pneumo_core.params import SplitParams
from pneumo_core.preparation import pins
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import Duplicates
from pneumo_core.preparation.pins import Pins
from pneumo_core.preparation.splits import Splits, make_splits
from pneumo_core.sources import identity
from tasks import paths


def run(params: SplitParams) -> None:
    before = pins.read(paths.PINNED_PATIENTS, salt.read_or_make(paths.SALT))
    splits = deal(params, before)
    table, films = splits.table, manifest.kept(splits.table)
    found = Duplicates(**read_json(paths.DUPLICATES))
    certificate = certify(
        table, found, params.pinned_test_hash, params.accept_unknown_patients, splits.origin
    )
    print(f"split: {patients_sentence(certificate)}")
    print(f"split: {split_sentence(certificate)}")
    if splits.origin["made_by"] == "pneumo":
        num_pinned = sum(map(len, before.groups(_as_named(films)).values()))
        num_patients = films["patient_group"].nunique()
        print(f"split: {num_pinned} of {num_patients} patients were pinned by an earlier run")
    pins.write(splits.pins, paths.PINNED_PATIENTS)
    write_json(paths.CERTIFICATE, certificate)
    write_json(
        paths.SPLIT_SUMMARY,
        {
            "films": manifest.count(films, "split", "label"),
            "not_used": manifest.count(table[table["state"] != "kept"], "state"),
            "certificate": certificate["state"],
            "patients_known": certificate["patients"]["known"],
        },
    )
    manifest.write(table, paths.SPLIT)
    counts = manifest.count(films, "split", "label")
    print(f"split: {counts}, certificate {verdict(certificate)}")


def deal(params: SplitParams, before: Pins) -> Splits:
    """Return the splits of the films as dedup left them.

    Patients are dealt and pinned by the names that the source gives them, which neither another
    order of the films nor a new film of theirs changes; the table that comes back has no names.
    """
    table = manifest.read(paths.DEDUPLICATED)
    splits = make_splits(_as_named(table), params, before)
    called = table[["patient_key", "patient_group"]]
    return replace(splits, table=splits.table.assign(**called))


def _as_named(table: pd.DataFrame) -> pd.DataFrame:
    """Return the films with patients as the source names them, a film's own id where it does not.

    Groups that look-alikes joined have the first of their names.
    """
    named = identity.with_names(table, identity.read(paths.NAMES))
    key = named["patient"].fillna(table["image_id"])
    group = named["group"].fillna(table["image_id"]).groupby(table["patient_group"])
    return table.assign(patient_key=key, patient_group=group.transform("min"))
