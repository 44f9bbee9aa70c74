"""A model and its report under a version in a bucket, for others to fetch and to check.

    ADDRESS/NAME/VERSION/bundle/...      the bundle, as in the registry; beside it its statement
                                         and its signature, if there is one (`signatures.py`)
    ADDRESS/NAME/VERSION/report/...      the report of the run that made it
    ADDRESS/NAME/VERSION/release.json    every file with its SHA-256; written last

Without `release.json` there is no release, whatever else is there. A published version never
changes. The ledger keeps the SHA-256 of each `release.json`, so that one which was exchanged
together with its files is found too.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pneumo_core.atomic import file_sha256
from pneumo_core.errors import ReleaseError, SignatureError
from pneumo_core.models import bundle
from pneumo_core.promotion import signatures
from pneumo_core.promotion.signatures import TrustedKeys
from tasks import ledger, paths
from tasks.graph import dvc_graph
from tasks.stores.buckets import Folder

MANIFEST = "release.json"
FORMAT_VERSION = 1


def publish(to: Folder, name: str, version: str, model: Path, report: Path) -> Folder:
    """Return where the release is now. What is there already in the same form stays.

    Args:
        model: the folder of a version, as `model_versions.fetch` gives it; `report`: a folder.

    Raises:
        StoreError: the bucket cannot be used.
        BundleError: the bundle is incomplete or altered.
        ReleaseError: the version was published with other content.
    """
    place = to / name / version
    own = model / paths.BUNDLE
    bundle.read_description(own)
    to.require_writable()
    files = _files("", model) | _files("report/", report)
    manifest = _manifest(name, version, bundle.identity(own), files)
    published = place.read(MANIFEST)
    if published is None:
        for file, path in files.items():
            place.upload(file, path)
        if strangers := place.names() - files.keys():
            raise ReleaseError(
                f"{place.address} is not published: take away what is not of it: "
                f"{', '.join(sorted(strangers))}"
            )
        if not place.create(MANIFEST, manifest):
            published = place.read(MANIFEST)
    if published not in (None, manifest):
        raise ReleaseError(
            f"{place.address} was published with other content, and a version never changes: "
            f"compare its {MANIFEST} with what is here, or publish somewhere else."
        )
    sha256 = hashlib.sha256(manifest).hexdigest()
    if _noted(place) != sha256:
        ledger.append(
            paths.RELEASE_LEDGER,
            address=place.address,
            bundle_sha256=bundle.identity(own),
            manifest_sha256=sha256,
        )
    return place


def verify(place: Folder, keys: TrustedKeys) -> list[str]:
    """Return what is not as it was published; fetch every byte.

    Where there are keys, a trusted one must have signed the model.

    Raises:
        StoreError: the bucket cannot be used.
        ReleaseError: there is no release, or it is of another format.
    """
    data = _manifest_of(place)
    expected = _read_manifest(place, data)
    there = place.names() - {MANIFEST}
    faults = [f"{name} is not of this release" for name in sorted(there - expected.keys())]
    for name, sha256 in expected.items():
        found = place.sha256(name)
        if found is None:
            faults.append(f"{name} is missing")
        elif found != sha256:
            faults.append(f"{name} was altered: SHA-256 {found}, published with {sha256}")
    noted = _noted(place)
    if noted not in (None, hashlib.sha256(data).hexdigest()):
        faults.append(f"{MANIFEST} is not the one that {paths.RELEASE_LEDGER} knows")
    if signatures.SIGNATURE in expected or keys.trusted or keys.revoked:
        faults += _distrust(place, expected, keys)
    return faults


def _distrust(place: Folder, names: Iterable[str], keys: TrustedKeys) -> list[str]:
    """Return a sentence if no trusted key signed the model."""
    with tempfile.TemporaryDirectory() as scratch:
        _fetch(place, names, Path(scratch))
        try:
            signatures.verify_folder(Path(scratch), keys)
        except SignatureError as error:
            return [f"the model is {error}"]
    return []


def fetch_model(place: Folder, folder: Path) -> None:
    """Fetch all of a release but its report; raises as `verify` does."""
    _fetch(place, _read_manifest(place, _manifest_of(place)), folder)


def _fetch(place: Folder, names: Iterable[str], folder: Path) -> None:
    """Fetch what is there of these, without the report."""
    for name in names:
        data = None if name.startswith("report/") else place.read(name)
        if data is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def report_of(model: Path) -> Path:
    """The report in this project, if it is of the run that made this bundle.

    Raises:
        ReleaseError: it is of another run, or stale.
    """
    cells = (path / paths.BUNDLE for path in paths.EVALUATED.glob("*"))
    made_here = {bundle.identity(cell) for cell in cells if (cell / bundle.CHECKSUMS).is_file()}
    if bundle.identity(model) not in made_here or not (paths.REPORT / paths.PAGE).is_file():
        raise ReleaseError(
            "The results and the report here are not of the run that made this model: check out "
            "the commit of that run ('pneumo registry history' names it), then 'dvc pull'."
        )
    if "report" in dvc_graph.stale_stages(promote=False):
        raise ReleaseError("The report here is stale: 'pneumo run' first.")
    return paths.REPORT


def _files(prefix: str, root: Path) -> dict[str, Path]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {f"{prefix}{path.relative_to(root).as_posix()}": path for path in paths}


def _manifest(name: str, version: str, bundle_sha256: str, files: dict[str, Path]) -> bytes:
    """The same bytes for the same release."""
    content = {
        "format_version": FORMAT_VERSION,
        "name": name,
        "version": version,
        "bundle_sha256": bundle_sha256,
        "files": {file: file_sha256(path) for file, path in files.items()},
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def _manifest_of(place: Folder) -> bytes:
    data = place.read(MANIFEST)
    if data is None:
        raise ReleaseError(
            f"No release at {place.address}: {MANIFEST} is missing, which is written last."
        )
    return data


def _read_manifest(place: Folder, data: bytes) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    try:
        content: Any = json.loads(data)
        found, files = content["format_version"], dict(content["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ReleaseError(f"{MANIFEST} at {place.address} cannot be read: {error}") from error
    if found != FORMAT_VERSION:
        raise ReleaseError(
            f"{place.address} has release format {found}, this code reads {FORMAT_VERSION}: use "
            "the pneumo version that wrote it."
        )
    return files


def _noted(place: Folder) -> str | None:
    """The SHA-256 of its manifest, by the last line of the ledger that names the place."""
    entries = ledger.read(paths.RELEASE_LEDGER)
    of_place = [each for each in entries if each["address"] == place.address]
    return str(of_place[-1]["manifest_sha256"]) if of_place else None
