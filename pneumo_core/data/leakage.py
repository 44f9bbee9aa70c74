"""What a leakage certificate is checked by: is it valid, and about these films?"""

import hashlib
from typing import Any

import pandas as pd

from pneumo_core.data import manifest
from pneumo_core.errors import CertificateError

Certificate = dict[str, Any]


def require_valid(
    certificate: Certificate, table: pd.DataFrame, trained_on: "pd.Series[str]"
) -> None:
    """
    Args:
        trained_on: `image_id` of every film that training will see.

    Raises:
        CertificateError: it is not valid, not about this table, or training would see other films.
    """
    if not certificate["valid"]:
        raise CertificateError(
            f"The leakage certificate is not valid: {'; '.join(certificate['faults'])}. Its lists "
            "name the films: put each of them, and each patient, on one side in the source."
        )
    if certificate["data_sha256"] != data_sha256(table):
        raise CertificateError(
            "The leakage certificate is about other data than these: run the stage split again."
        )
    strangers = set(trained_on) - set(manifest.kept(table, "train")["image_id"])
    if strangers:
        raise CertificateError(
            f"{len(strangers)} films of the training set are not in train, such as "
            f"{min(strangers)}: run the stage augment again."
        )


def data_sha256(table: pd.DataFrame) -> str:
    """Of what is in which split under which label and for which patient."""
    columns = ["image_id", "sha256", "split", "label", "patient_key", "patient_group"]
    return _hash(manifest.kept(table), columns)


def test_split_hash(films: pd.DataFrame) -> str:
    """Of the bytes and the labels of test films."""
    return _hash(films, ["sha256", "label"])


def _hash(films: pd.DataFrame, columns: list[str]) -> str:
    lines = sorted(set(films[columns].astype(str).agg(" ".join, axis=1))) if len(films) else []
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
