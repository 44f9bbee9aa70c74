"""Download one file, and keep it if its checksum is right."""

import hashlib
import shutil
import urllib.request
from http.client import HTTPException
from pathlib import Path

from pneumo_core.atomic import replacing_file
from pneumo_core.sources.facts import RemoteFile

TIMEOUT_S = 30


def fetch(remote: RemoteFile, target: Path) -> Path:
    """Return `target`, downloaded unless it is there.

    Raises:
        OSError: no answer, or bytes with another checksum.
    """
    if target.is_file() and _md5(target) == remote.md5:
        return target
    with replacing_file(target) as draft:
        _download(remote.url, draft)
        if (came := _md5(draft)) != remote.md5:
            raise OSError(f"MD5 {came}, expected {remote.md5}")
    return target


def _download(url: str, target: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except HTTPException as error:
        raise OSError(f"a broken answer: {error}") from error


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
