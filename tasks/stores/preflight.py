"""Check, before long work, that its results can be stored."""

from collections.abc import Mapping
from typing import Any

from tasks.stores.buckets import Access, Folder

READ_TIMEOUT_S = 5
# DVC's names of the access settings, and ours.
DVC_OPTIONS = {"endpointurl": "endpoint_url"} | {
    name: name
    for name in ("region", "profile", "access_key_id", "secret_access_key", "session_token")
}


def require_remote() -> str:
    """Return the address of DVC's default remote; a bucket is first tried with a small object.

    Raises:
        StoreError: the bucket cannot be written to.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        remote = repo.config["remote"].get(repo.config["core"].get("remote"), {})
    address = str(remote.get("url", "no remote"))
    if address.startswith("s3://"):
        Folder(address, access_of(remote), READ_TIMEOUT_S).require_writable()
    return address


def access_of(remote: Mapping[str, Any]) -> Access:
    """Return our access settings from those of a remote of DVC."""
    return {ours: remote.get(theirs) for theirs, ours in DVC_OPTIONS.items()}
