"""Which code is running, on which data, for whom."""

import getpass
import hashlib
import json
import os
import platform
import re
import subprocess
from pathlib import Path

import yaml

from pneumo_core import params as all_params
from pneumo_core.atomic import JsonDict, file_sha256
from pneumo_core.data.packed import INDEX
from pneumo_core.errors import PipelineError
from tasks import paths

LOCK = Path("dvc.lock")
CODE = ("dvc.yaml", "flows", "pneumo_core", "tasks")
NOT_RESTED_ON = {"promote", "report"}  # stages whose results no decision rests on
NO_REPOSITORY = "not a git repository"
ANOTHER_OWNER = re.compile("dubious ownership in repository at '(.*)'")


def tags() -> dict[str, str]:
    """Git commit and whether files differ from it; empty outside a repository.

    Raises:
        PipelineError: there is a repository, and git does not name its commit.
    """
    asked = _git("rev-parse", "--verify", "HEAD")
    if NO_REPOSITORY in asked.stderr:
        return {}
    if other := ANOTHER_OWNER.search(asked.stderr):
        raise PipelineError(
            "This repository belongs to another user, so git does not name the commit for the "
            f"ledger: run `git config --global --add safe.directory {other[1]}`."
        )
    if asked.returncode:
        raise PipelineError(
            "git names no commit for the ledger: run `git add --all && git commit -m start`."
        )
    changed = _git("status", "--porcelain", "--untracked-files=no").stdout.strip()
    return {"git_commit": asked.stdout.strip(), "git_dirty": str(bool(changed)).lower()}


def code_differing(commit: str) -> list[str]:
    """Return the files of code here that are not as in a commit.

    Raises:
        PipelineError: there is no such commit here.
    """
    changed = _git("diff", "--name-only", commit, "--", *CODE)
    if changed.returncode:
        raise PipelineError(f"This repository has no commit {commit[:12]}.")
    new = _git("ls-files", "--others", "--exclude-standard", "--", *CODE)
    return sorted({*changed.stdout.splitlines(), *new.stdout.splitlines()})


def file_at(commit: str, path: Path) -> bytes | None:
    """Return the content of a file in a commit; None where it has no such file."""
    asked = subprocess.run(
        ["git", "show", f"{commit}:./{path.as_posix()}"], capture_output=True, check=False
    )
    return None if asked.returncode else asked.stdout


def is_shallow() -> bool:
    """Return whether older commits were left out when this repository was cloned."""
    return _git("rev-parse", "--is-shallow-repository").stdout.strip() == "true"


def data_hashes() -> dict[str, str]:
    """SHA-256 of the films as they are split, and of the training films made of them.

    The index of packed films has the SHA-256 of their pixels.
    """
    packed = paths.TRAIN_IMAGES / INDEX
    return {"data_sha256": file_sha256(paths.SPLIT), "train_sha256": file_sha256(packed)}


def data_versions() -> dict[str, str]:
    """The same as DVC has it; empty where DVC did not make them."""
    locked = locked_hashes("split", "augment")
    versions = {"data_version": paths.SPLIT, "train_version": paths.TRAIN_IMAGES}
    return {name: locked[str(path)] for name, path in versions.items() if str(path) in locked}


def source() -> dict[str, str]:
    """`ingest.source` and the name of its file or folder; empty outside a project."""
    if not all_params.FILE.is_file():
        return {}
    named = all_params.load().ingest.source
    place = Path(named).resolve()
    return {"source": named, "dataset": place.stem if place.is_file() else place.name}


def locked_stages() -> JsonDict:
    """Return what `dvc.lock` says of each stage; nothing without the file."""
    found = yaml.safe_load(LOCK.read_text("utf-8")) if LOCK.is_file() else {}
    stages: JsonDict = found.get("stages", {})
    return stages


def locked_hashes(*stages: str) -> dict[str, str]:
    """Return the hash in `dvc.lock` of each output of the stages, by path."""
    locked = locked_stages()
    return {
        out["path"]: out["md5"] for stage in stages for out in locked.get(stage, {}).get("outs", [])
    }


def locked_digest() -> str | None:
    """Return the SHA-256 of what `dvc.lock` says of the stages that a decision rests on.

    Those behind, which DVC writes down after it, do not count. None without such stages.
    """
    stages = {name: said for name, said in locked_stages().items() if name not in NOT_RESTED_ON}
    text = json.dumps(stages, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest() if stages else None


def who() -> str:
    """Login and machine; in a workflow of GitHub, who started it."""
    try:
        login = os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        login = str(os.getuid())
    return f"{login}@{platform.node()}"


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *arguments],
        env=os.environ | {"LC_ALL": "C"},  # its messages are compared
        capture_output=True,
        text=True,
        check=False,
    )
