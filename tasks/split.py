"""Put whole patients into the splits, pin them, and write the leakage certificate."""

from pneumo_core.atomic import read_json, write_json
from pneumo_core.data import manifest
from pneumo_core.data.leakage import patients_sentence, split_sentence, verdict
from pneumo_core.params import SplitParams
from pneumo_core.preparation import pins
from pneumo_core.preparation.certificate import certify
from pneumo_core.preparation.duplicates import Duplicates
from pneumo_core.preparation.splits import make_splits
from tasks import paths


def run(params: SplitParams) -> None:
    before = pins.read(paths.PINNED_PATIENTS)
    splits = make_splits(manifest.read(paths.DEDUPLICATED), params, before)
    table, films = splits.table, manifest.kept(splits.table)
    found = Duplicates(**read_json(paths.DUPLICATES))
    certificate = certify(
        table, found, params.pinned_test_hash, params.accept_unknown_patients, splits.origin
    )
    print(f"split: {patients_sentence(certificate)}")
    print(f"split: {split_sentence(certificate)}")
    if splits.origin["made_by"] == "pneumo":
        num_pinned = sum(map(len, before.groups(films).values()))
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
