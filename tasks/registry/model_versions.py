"""The MLflow registry: which version has which alias, and its bundle."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from filelock import FileLock
from mlflow.exceptions import MlflowException

from pneumo_core import params as all_params
from pneumo_core.atomic import replacing_folder
from pneumo_core.errors import (
    BundleError,
    NoChampionError,
    NotTrustedError,
    PromotionError,
    SignatureError,
)
from pneumo_core.models import bundle
from pneumo_core.promotion import alias_history, policy, signatures
from tasks import explanations, ledger, paths, signing
from tasks.tracking import connection

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

BUNDLE_TAG = "bundle_sha256"
KEY_TAG = "signed_by"  # fingerprint of the key
ERASED_TAG = "erased_"  # begins the tags that say what a version had to do with erased patients
LINE = "_line"  # ends the tag that names a line of the ledger


@contextmanager
def locked() -> Iterator[None]:
    """Let one promotion run at a time on this machine, so that the second sees the first.

    Raises:
        PromotionError: the registry does not answer.
    """
    paths.SCRATCH.mkdir(exist_ok=True)
    with FileLock(paths.SCRATCH / "registry.lock"):
        try:
            yield
        except MlflowException as error:
            why = explanations.in_one_line(error)
            raise PromotionError(f"The registry does not do what was asked. {why}") from error


def find_champion(name: str, alias: str) -> "ModelVersion | None":
    """Return the model version that has an alias, or None.

    Raises:
        PromotionError: the registry cannot be read, which is not the same as being empty.
    """
    try:
        client = connection.connect()
        try:
            return client.get_model_version_by_alias(name, alias)
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            # With logins, MLflow hides from all but administrators that there is no such model.
            if error.error_code == "PERMISSION_DENIED" and not versions(name):
                return None
            raise
    except MlflowException as error:
        why = explanations.in_one_line(error)
        raise PromotionError(f"The registry cannot be read. {why}") from error


def versions(name: str) -> "dict[str, ModelVersion]":
    """Return the versions of a model by number."""
    found = connection.connect().search_model_versions(f"name = '{name}'")
    return {str(version.version): version for version in found}


def aliases(name: str) -> dict[str, str]:
    """Return the version of each alias."""
    if not versions(name):
        return {}
    found = connection.connect().get_registered_model(name).aliases
    return {alias: str(version) for alias, version in found.items()}


def champion_bundle(name: str, alias: str) -> tuple[Path, str]:
    """Return the bundle behind an alias, and its version.

    Raises:
        NoChampionError: no version has the alias.
        PromotionError: another version has it by the ledger.
        LedgerError: the ledger cannot be read.
        SignatureError: a signature is missing, does not fit, or its key is not trusted.
        NotTrustedError: a patient of the model was erased, and the role's policy refuses it.
        BundleError: what the registry holds is not what was registered.
    """
    version = find_champion(name, alias)
    if version is None:
        raise NoChampionError(
            f"No model {name}@{alias} in the registry at {connection.shown_uri()}: run the "
            "pipeline, and ask 'pneumo promote --dry-run' why nobody may be; or give --bundle, as "
            f"{paths.EVALUATED / 'NAME' / paths.BUNDLE}."
        )
    require_promoted(version, alias)
    require_not_erased(version, alias)
    folder = fetch(version)
    require_signed(folder, alias)
    return folder / paths.BUNDLE, str(version.version)


def require_promoted(version: "ModelVersion", alias: str) -> None:
    """Compare the version that has an alias with the ledger; whoever writes to one may not to both.

    Raises:
        PromotionError: by the ledger another bundle has the alias, or none, or a line was altered.
        SignatureError: its line is not signed as the role's policy asks, or falsely.
        LedgerError: the ledger cannot be read.
    """
    path = paths.PROMOTION_LEDGER
    if lines := ledger.broken_links(path):
        raise PromotionError(
            f"{path} was altered: line {lines[0]} does not follow from the one before. No model is "
            "used by its alias until the file of the last commit is back."
        )
    history = alias_history.periods(ledger.read(path), version.name, alias)
    by_ledger = history[-1] if history else None
    if by_ledger is None or by_ledger.bundle_sha256 != version.tags.get(BUNDLE_TAG):
        raise PromotionError(
            f"{version.name}@{alias} is version {version.version} in the registry, but "
            f"{f'version {by_ledger.version}' if by_ledger else 'no version'} by {path}: it is not "
            "used. 'pneumo registry verify' says more; 'pneumo promote' and 'pneumo registry "
            "rollback' move an alias."
        )
    try:
        signed_by = ledger.signer(dict(by_ledger.entry))
    except SignatureError as error:
        kind = type(error)
        raise kind(f"{path}, the line that made it {alias}: {error}.") from error
    if signed_by is None and _must_be_signed(alias):
        raise NotTrustedError(
            f"{path}: the line that made it {alias} is not signed, and its policy asks for it."
        )


def require_signed(folder: Path, alias: str) -> None:
    """Require the signature of a version that the policy of a role asks for.

    Raises:
        NotTrustedError: there is none.
    """
    if _must_be_signed(alias) and not (folder / signatures.SIGNATURE).is_file():
        raise NotTrustedError(
            f"The model is not signed, and the policy of {alias} asks for it: set "
            f"{signing.PRIVATE_KEY} and promote it again."
        )


def require_not_erased(version: "ModelVersion", alias: str) -> None:
    """Require of a version that no patient of it was erased, where the policy of a role asks so.

    Raises:
        NotTrustedError: one was.
    """
    params = all_params.load().promote
    if _is_marked(version) and (
        alias not in params.roles or policy.of_role(params, alias).erased == "refuse"
    ):
        raise NotTrustedError(
            f"{version.name} version {version.version} has to do with a patient who was erased, "
            f"and the policy of {alias} lets no such model be used (erased: refuse): start 'pneumo "
            "run', which trains without that patient."
        )


def erased_bundles(name: str) -> dict[str, str]:
    """Return the bundles that have to do with a patient who was erased, and that reason."""
    marked = filter(_is_marked, versions(name).values())
    return {version.tags[BUNDLE_TAG]: "a patient was erased" for version in marked}


def _is_marked(version: "ModelVersion") -> bool:
    return any(tag.startswith(ERASED_TAG) for tag in version.tags)


def _must_be_signed(alias: str) -> bool:
    """Return whether the policy of a role asks for signatures; of another alias, no policy does."""
    params = all_params.load().promote
    return alias in params.roles and policy.of_role(params, alias).signed


def fetch(version: "ModelVersion") -> Path:
    """The artifacts of a version: bundle, pinned sample, statement and signature, on this machine.

    Raises:
        SignatureError: its signature does not fit, or its key is not trusted.
        BundleError: what the registry holds, or what is kept here, is not what was registered.
    """
    folder = paths.SCRATCH / "registry" / f"{version.tags.get(BUNDLE_TAG)}-{version.version}"
    if not folder.is_dir():
        with replacing_folder(folder) as draft:
            download(version, draft)
    require_registered(version, folder)
    return folder


def download(version: "ModelVersion", folder: Path) -> None:
    """Copy the artifacts of a version into a folder.

    Raises:
        PromotionError: the registry does not give it.
        BundleError: the registry holds something else than was registered.
    """
    connection.connect()
    source = f"models:/{version.name}/{version.version}"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        try:
            mlflow.artifacts.download_artifacts(source, dst_path=scratch)
        except (MlflowException, OSError) as error:
            why = explanations.in_one_line(error)
            raise PromotionError(f"{source} cannot be fetched. {why}") from error
        for part in (Path(scratch) / "artifacts").iterdir():
            part.replace(folder / part.name)
    require_registered(version, folder)


def require_registered(version: "ModelVersion", folder: Path) -> None:
    """Compare the artifacts of a version in a folder with what was registered.

    Raises:
        SignatureError: the signature is gone or does not fit, or nobody knows its key.
        BundleError: a file is missing or altered, or another bundle is there.
    """
    if KEY_TAG in version.tags or (folder / signatures.SIGNATURE).is_file():
        try:
            signatures.verify_folder(folder, signing.trusted_keys())
        except SignatureError as error:
            kind = type(error)
            raise kind(f"{version.name} version {version.version}: {error}.") from error
    bundle.read_description(folder / paths.BUNDLE)
    if bundle.identity(folder / paths.BUNDLE) != version.tags.get(BUNDLE_TAG):
        raise BundleError(
            f"The bundle of {version.name} version {version.version} is not the one registered: "
            "its checksums are consistent, but others."
        )


def set_alias(name: str, alias: str, version: str) -> None:
    connection.connect().set_registered_model_alias(name, alias, version)


def note(name: str, version: str, role: str, outcome: str, line: str) -> None:
    """Write the decision on a version into its tags, with the hash of the ledger's line."""
    client = connection.connect()
    client.set_model_version_tag(name, version, role, outcome)
    client.set_model_version_tag(name, version, f"{role}{LINE}", line)


def describe(name: str, version: str, text: str) -> None:
    """Write the description, in Markdown, that MLflow's page shows of a version."""
    connection.connect().update_model_version(name, version, text)
