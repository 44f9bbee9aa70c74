"""Asks, before long work, whether its results can be put where they are meant to go."""

from tasks.stores.buckets import Folder

READ_TIMEOUT_S = 5
# DVC's names for what decides who asks which store, and ours.
DVC_OPTIONS = {"endpointurl": "endpoint_url"} | {
    name: name
    for name in ("region", "profile", "access_key_id", "secret_access_key", "session_token")
}


def require_remote() -> str:
    """The address of DVC's default remote, once a bucket has taken and given back an object.

    Raises:
        StoreError: the bucket does not.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        remote = repo.config["remote"].get(repo.config["core"].get("remote"), {})
    address = str(remote.get("url", "no remote"))
    if address.startswith("s3://"):
        access = {ours: remote.get(theirs) for theirs, ours in DVC_OPTIONS.items()}
        Folder(address, access, READ_TIMEOUT_S).require_writable()
    return address
