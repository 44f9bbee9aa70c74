"""An S3 store that refuses, is slow, has no room or hangs up in the middle of the work.

Films on their way in, results on their way out by DVC, and the question asked before. Publishing is
in test_release.py, what MLflow puts there in test_mlflow_server.py.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import SourceError, StoreError
from pneumo_core.labels import LABELS
from pneumo_core.params import IngestParams
from pneumo_core.sources import collect
from pneumo_core.sources.description import Opening
from tasks.graph import failures
from tasks.graph.dvc_stage import environment
from tasks.stores import buckets, preflight, s3_source

PATIENCE_S = 60  # until a failure must have said what is wrong; met in 5 on a free machine
FILMS = {
    f"{split}/{label}/person{n}_virus_{n}.jpeg": f"{split}{label}{n}".encode()
    for split in ("train", "test")
    for label in LABELS
    for n in range(10)
}
AFTER = 12  # objects, the store fails


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 asks again without waiting."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


def after(number: int, fault: Any, method: str, there: str) -> Callable[[str, str], Any]:
    """A store that does so many things well, and then this fault for all of the same kind."""
    left = iter(range(number))

    def decide(asked: str, path: str) -> Any:
        if asked != method or there not in path:
            return None
        return fault if next(left, None) is None else None

    return decide


@pytest.mark.parametrize(
    ("fault", "may_pass"),
    [(503, True), (30.0, True), ("cut", True), (403, False)],
    ids=["overloaded", "slow", "hangs up", "refused"],
)
def test_store_that_fails_in_the_middle_of_ingest_costs_no_film(
    fault: Any,
    may_pass: bool,
    s3: Any,
    store: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ingest stops, says whether to come again, and goes on from the films that it has."""
    for name, data in FILMS.items():
        s3.put_object(Bucket="films", Key=name, Body=data)
    hasty = partial(buckets.connect, read_timeout_s=3)
    monkeypatch.setattr(s3_source.buckets, "connect", hasty)
    wanted = {"kind": "s3", "bucket": "films", "endpoint_url": store.url}
    opening = Opening(IngestParams(source="x"), {}, tmp_path / "cache")
    source = s3_source.S3Description.model_validate(wanted).source(opening)

    store.fault = after(AFTER, fault, "GET", "/person")
    begun = time.monotonic()
    with pytest.raises(SourceError, match="does not give") as raised:
        collect.collect(source.files(), tmp_path / "raw")
    assert time.monotonic() - begun < PATIENCE_S
    assert failures.may_pass(raised.value) is may_pass
    assert sum(path.is_file() for path in (tmp_path / "cache").rglob("*")) == AFTER

    asked: list[str] = []
    store.fault = lambda _method, path: asked.append(path) if "/person" in path else None
    table = collect.collect(source.files(), tmp_path / "raw")
    assert manifest.count(table, "state") == {manifest.KEPT: len(FILMS)}
    stored = zip(table["file"], table["path"], strict=True)
    assert {name: (tmp_path / "raw" / path).read_bytes() for name, path in stored} == FILMS
    assert len(asked) == len(FILMS) - AFTER


FAULTS = {"refused": 403, "no room": 507, "slow": 30.0}


@pytest.fixture
def repository(s3: Any, store: Any, tmp_path: Path) -> Path:  # noqa: ARG001 (the bucket is there)
    """Some results under DVC, not yet pushed; the remote gives up after a second."""
    folder = tmp_path / "repository"
    (folder / "results").mkdir(parents=True)
    for number in range(4):
        (folder / "results" / f"{number}").write_bytes(bytes([number]) * 100_000)
    dvc(folder, "init", "--no-scm", "--quiet")
    dvc(folder, "add", "--quiet", "results")
    dvc(folder, "remote", "add", "--default", "store", "s3://films/store")
    for name, value in {
        "endpointurl": store.url,
        "read_timeout": "1",
        "connect_timeout": "1",
    }.items():
        dvc(folder, "remote", "modify", "store", name, value)
    return folder


def dvc(folder: Path, *command: str, fails: bool = False) -> str:
    result = subprocess.run(
        ["dvc", *command],
        cwd=folder,
        env=environment() | {"DVC_NO_ANALYTICS": "1", "AWS_MAX_ATTEMPTS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (result.returncode != 0) is fails, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("kind", FAULTS)
def test_push_that_fails_in_the_middle_keeps_all_here_and_is_done_again(
    kind: str, repository: Path, store: Any
) -> None:
    """What DVC keeps of it, and that the next push ends with everything there."""
    store.fault = after(2, FAULTS[kind], "PUT", "/store/")
    output = dvc(repository, "push", fails=True)
    assert "failed to push" in output, output
    assert "results" in dvc(repository, "status", "--cloud")  # what is missing is told

    store.fault = lambda _method, _path: None
    dvc(repository, "push")
    before = contents(repository)
    shutil.rmtree(repository / ".dvc" / "cache")
    shutil.rmtree(repository / "results")
    dvc(repository, "pull")
    assert contents(repository) == before != {}


def contents(repository: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (repository / "results").iterdir()}


@pytest.mark.parametrize("kind", FAULTS)
def test_preflight_tells_before_the_work_that_its_results_would_not_be_taken(
    kind: str, repository: Path, store: Any, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr(preflight, "READ_TIMEOUT_S", 1)
    store.fault = after(0, FAULTS[kind], "PUT", "/store/")
    begun = time.monotonic()
    with pytest.raises(StoreError, match="cannot be written to"):
        preflight.require_remote()
    assert time.monotonic() - begun < PATIENCE_S
    assert "Contents" not in s3.list_objects_v2(Bucket="films")
