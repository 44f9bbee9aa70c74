"""Check a leakage certificate: is it valid, and is it about these films?"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pneumo_core.atomic import read_json
from pneumo_core.data import manifest
from pneumo_core.errors import CertificateError

Certificate = Mapping[str, Any]
CERTIFICATE_VERSION = 4

SplitOrigin = Mapping[str, Any]  # `made_by`: source, pneumo, site or nobody; and how
BY_SOURCE: SplitOrigin = {"made_by": "source"}
BY_NOBODY: SplitOrigin = {"made_by": "nobody"}  # the films are in no split yet

VALID, NOT_VALID, PATIENTS_UNKNOWN = "valid", "not valid", "patients unknown"  # its `state`
FAULTS = {  # a sentence for each kind
    "exact_duplicates": "{number} groups of exact duplicates across splits",
    "near_duplicates": "{number} groups of near-duplicates across splits",
    "patients": "{number} images of patients confirmed in an earlier split too",
    "labels": "{number} pictures with both labels",
    "other_test": "the test split is not the pinned one ({found}, not {pinned})",
    "empty_split": "no readable film in {split}",
    "no_film": "no readable film",
    "not_split": "the films are in no split, the stage split makes the splits",
}


def read(path: Path) -> Certificate:
    """Return the certificate in a file.

    Raises:
        CertificateError: another version of pneumo wrote it, in another form.
    """
    certificate: Certificate = read_json(path)
    if (found := certificate.get("certificate_version")) != CERTIFICATE_VERSION:
        raise CertificateError(
            f"{path} has the version {found} of the certificate, this pneumo reads "
            f"{CERTIFICATE_VERSION}: `pneumo run` makes it anew."
        )
    return certificate


def all_known(certificate: Certificate) -> bool:
    return bool(certificate["patients"]["known"] == certificate["patients"]["films"])


def verdict(certificate: Certificate) -> str:
    """Return the state with the faults behind it."""
    return ": ".join(filter(None, [certificate.get("state", "no state"), _faults(certificate)]))


def _faults(certificate: Certificate) -> str:
    faults = certificate.get("faults", [])
    return "; ".join(FAULTS[fault["kind"]].format(**fault) for fault in faults)


def patients_sentence(certificate: Certificate) -> str:
    """Return how many films have a known patient, by which rule, and the number of patients."""
    patients = certificate["patients"]
    rules = " and ".join(patients["rules"]) or "no rule"
    known = f"Patient known for {patients['known']} of {patients['films']} films by {rules}"
    return f"{known} ({patients['num_patients']} patients)" if patients["known"] else known


def split_sentence(certificate: Certificate) -> str:
    """Return who made the test split, and how."""
    origin = certificate["split_origin"]
    if origin["made_by"] == "site":
        return (
            f"Test is the site {origin['site']}, held out; "
            f"{origin['left_out']} films of other sites are left out"
        )
    if origin["made_by"] == "source":
        return "Test is the source's own"
    if origin["made_by"] == "nobody":
        return "The films are in no split yet"
    size = f"{origin['fraction']:.0%} of the films"
    if origin["per_class"] is not None:
        size = f"{origin['per_class']} films of each class"
    strata = ", ".join(["label", *origin["strata"]])
    return f"Test made by pneumo: {size}, in whole patients, stratified by {strata}; pinned"


def require_valid(
    certificate: Certificate, table: pd.DataFrame, trained_on: "pd.Series[str]"
) -> None:
    """Check that training may use these films.

    Args:
        trained_on: `image_id` of every film that training will see.

    Raises:
        CertificateError: the certificate is not valid or not about this table, or training would
            see films that are not in train.
    """
    if certificate["state"] == PATIENTS_UNKNOWN and not certificate["accept_unknown_patients"]:
        raise CertificateError(
            f"{patients_sentence(certificate)}: nobody can say whether train and test share "
            "patients. State a rule in ingest.patients, or train all the same by "
            "split.accept_unknown_patients: true, which the report will say."
        )
    if certificate["state"] not in (VALID, PATIENTS_UNKNOWN):
        raise CertificateError(
            f"The leakage certificate is not valid: {_faults(certificate)}. Its lists "
            "name the films: put each of them, and each patient, on one side in the source."
        )
    if certificate["data_sha256"] != data_sha256(table):
        raise CertificateError(
            "The leakage certificate is not about these films: run the stage split again."
        )
    strangers = set(trained_on) - set(manifest.kept(table, "train")["image_id"])
    if strangers:
        raise CertificateError(
            f"{len(strangers)} films of the training set are not in train, such as "
            f"{min(strangers)}: run the stage augment again."
        )


def data_sha256(table: pd.DataFrame) -> str:
    """Return the SHA-256 of the kept films with their splits, labels and patients."""
    columns = ["image_id", "sha256", "split", "label", "patient_key", "patient_group"]
    return _hash(manifest.kept(table), columns)


def test_split_hash(films: pd.DataFrame) -> str:
    """Return the SHA-256 of the bytes and the labels of test films."""
    return _hash(films, ["sha256", "label"])


def _hash(films: pd.DataFrame, columns: list[str]) -> str:
    lines = sorted(set(films[columns].astype(str).agg(" ".join, axis=1))) if len(films) else []
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
