"""Model versions that learned from an erased patient, or were judged on one: marked, not altered.

A signature covers a version. Its weights hold no film, and what it knows of films are hashes.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pneumo_core.errors import BundleError, NotTrustedError, SignatureError
from pneumo_core.evaluation.reference import Reference
from pneumo_core.models import bundle
from pneumo_core.sources.erased import Erased
from tasks import paths
from tasks.registry import model_versions

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

LEARNED, JUDGED, NOT_KNOWN = "learned from", "judged on", "not known"


def tag_of(patient: str) -> str:
    """Return the tag that says what a version had to do with a patient of the list."""
    return f"{model_versions.ERASED_TAG}{patient[:12]}"


def relations(
    name: str, erased: Erased, tables: frozenset[str] | None
) -> "list[tuple[ModelVersion, str]]":
    """Return the versions of a model that have to do with the one patient of a list.

    Args:
        tables: hashes of the manifests that were searched for the patient. A version of another
            one counts, since nobody knows. None: it does not.
    """
    found = []
    for _, version in sorted(model_versions.versions(name).items(), key=lambda each: int(each[0])):
        relation = _relation(version, erased, tables)
        if relation is not None:
            found.append((version, relation))
    return found


def _relation(version: "ModelVersion", erased: Erased, tables: frozenset[str] | None) -> str | None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            model_versions.download(version, folder)
        except NotTrustedError:
            pass  # of a revoked key: whole
        except (BundleError, SignatureError):
            return NOT_KNOWN
        description = bundle.read_description(folder / paths.BUNDLE)
        trained_on = Reference.of_bundle(folder / paths.BUNDLE).trained_on
        sample = (folder / paths.SAMPLE).read_text("utf-8")
    if any(erased.knows(str(digest)) for digest in trained_on.tolist()):
        return LEARNED
    origins = {description.origin.data_sha256}
    origins |= {member.origin.data_sha256 for member in description.members}
    if any(erased.digest(each) in erased.files for each in origins) or any(
        erased.knows(word) for word in sample.split('"')
    ):
        return JUDGED
    if tables is not None and (origins - tables or not len(trained_on)):
        return NOT_KNOWN
    return None
