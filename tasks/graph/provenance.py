"""Which code is running, on which data, for whom."""

import getpass
import hashlib
import os
import platform
import subprocess
from pathlib import Path

from pneumo_core.data.packed import INDEX
from tasks import paths
from tasks.graph import dvc_graph


def tags() -> dict[str, str]:
    """Git commit and whether files differ from it; empty outside a repository."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return {}
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"git_commit": commit, "git_dirty": str(bool(changed)).lower()}


def data_hashes() -> dict[str, str]:
    """SHA-256 of the films as they are split, and of the training films made of them.

    The index of packed films has the SHA-256 of their pixels.
    """
    packed = paths.TRAIN_IMAGES / INDEX
    return {"data_sha256": _sha256(paths.SPLIT), "train_sha256": _sha256(packed)}


def data_versions() -> dict[str, str]:
    """The same as DVC has it; empty where DVC did not make them."""
    locked = dvc_graph.locked_hashes("split", "augment")
    versions = {"data_version": paths.SPLIT, "train_version": paths.TRAIN_IMAGES}
    return {name: locked[str(path)] for name, path in versions.items() if str(path) in locked}


def who() -> str:
    """Login and machine; in a workflow of GitHub, who started it."""
    try:
        login = os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        login = str(os.getuid())
    return f"{login}@{platform.node()}"


def _git(*arguments: str) -> str:
    result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return result.stdout.strip()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
