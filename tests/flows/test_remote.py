"""`dvc push`, a fresh clone, `dvc pull`: by the embedded remote, and by S3 on loopback."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pneumo_core import versions
from tasks import paths

Dvc = Callable[..., subprocess.CompletedProcess[str]]
Environment = dict[str, str]

BUCKET, PREFIX = "films", "pneumo"
DATA = ("--with-deps", "split")  # of the data stages alone
MAX_OBJECTS_BESIDE_RAW = 30
PATIENCE_S = 30  # until a failure must have said what is wrong; met in 10 at most
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture(scope="module")
def bare(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Nothing of the user's that AWS libraries would read."""
    empty = tmp_path_factory.mktemp("aws") / "empty"
    empty.touch()
    ours = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), str(empty))
    return ours | files | {"AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def s3(bare: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """What a user exports to reach a server with one empty bucket."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Path(sys.executable).with_name("moto_server")
    log = tmp_path_factory.mktemp("moto") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [server, "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    try:
        _wait_for(port, process)
        there = bare | CREDENTIALS | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
        _ask_s3(f"create_bucket(Bucket={BUCKET!r})", there)
        yield there
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, "moto_server ended"
        assert time.monotonic() < deadline
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _ask_s3(call: str, environment: Environment, show: str = "str") -> str:
    """In a process of its own: boto3 takes the environment that DVC gets."""
    code = f"import boto3; print({show}(boto3.client('s3').{call}))"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def dvc(bare: Environment) -> Dvc:
    def dvc(*command: str, cwd: Path, env: Environment = bare) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["dvc", *command],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return dvc


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy of one that has run, with `dvc.lock` committed."""
    project = Path(shutil.copytree(trained, tmp_path / "project", symlinks=True))
    _commit(project, "run")
    return project


def _commit(project: Path, message: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["add", "-A"], ["commit", "-qm", message]):
        subprocess.run(["git", *identity, *command], cwd=project, check=True)


def _clone(project: Path) -> Path:
    clone = project.with_name("clone")
    subprocess.run(["git", "clone", "-q", project, clone], check=True)
    versions.record(clone / paths.VERSIONS)  # as `make install` does
    return clone


def _files(project: Path) -> dict[Path, bytes]:
    results = project / "results"
    found = (path for path in results.rglob("*") if path.is_file())
    return {path.relative_to(results): path.read_bytes() for path in found}


def _assert_pulls_everything(clone: Path, project: Path, dvc: Dvc, env: Environment) -> None:
    pulled = dvc("pull", cwd=clone, env=env)
    assert pulled.returncode == 0, pulled.stderr
    status = dvc("status", cwd=clone, env=env)
    assert "up to date" in status.stdout, status.stdout
    assert _files(clone) == _files(project)


def _max_objects(project: Path) -> int:
    num_raw = sum(path.is_file() for path in (project / "results/ingest/raw").rglob("*"))
    return num_raw + MAX_OBJECTS_BESIDE_RAW


def test_embedded_remote_works_out_of_the_box(project: Path, dvc: Dvc, bare: Environment) -> None:
    pushed = dvc("push", *DATA, cwd=project)
    assert pushed.returncode == 0, pushed.stderr
    store = project / "var" / "dvc-store"
    assert 0 < sum(path.is_file() for path in store.rglob("*")) <= _max_objects(project)

    assert dvc("push", cwd=project).returncode == 0
    shutil.rmtree(project / ".dvc" / "cache")
    assert dvc("pull", cwd=project).returncode == 0

    clone = _clone(project)
    dvc("remote", "modify", "--local", "local", "url", str(store), cwd=clone)
    _assert_pulls_everything(clone, project, dvc, bare)


def test_s3_needs_nothing_but_a_url_and_the_environment(
    project: Path, dvc: Dvc, s3: Environment
) -> None:
    dvc("remote", "add", "--default", "store", f"s3://{BUCKET}/{PREFIX}", cwd=project)
    _commit(project, "remote")
    assert s3["AWS_ENDPOINT_URL_S3"] not in (project / ".dvc" / "config").read_text()

    pushed = dvc("push", *DATA, cwd=project, env=s3)
    assert pushed.returncode == 0, pushed.stderr
    pages = f"get_paginator('list_objects_v2').paginate(Bucket={BUCKET!r})"
    num_objects = int(_ask_s3(f"{pages}.search('KeyCount')", s3, show="sum"))
    assert 0 < num_objects <= _max_objects(project)

    assert dvc("push", cwd=project, env=s3).returncode == 0
    _assert_pulls_everything(_clone(project), project, dvc, s3)


@pytest.mark.parametrize(
    ("broken", "output"),
    [
        (dict.fromkeys(CREDENTIALS), "Unable to locate credentials"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "Could not connect to the endpoint"),
    ],
    ids=["no credentials", "dead endpoint"],
)
def test_s3_out_of_reach_ends_soon_and_says_why(
    broken: dict[str, str | None], output: str, project: Path, dvc: Dvc, s3: Environment
) -> None:
    dvc("remote", "add", "--default", "store", f"s3://{BUCKET}/{PREFIX}", cwd=project)
    environment = {k: v for k, v in (s3 | broken).items() if v is not None}
    start = time.monotonic()
    result = dvc("push", cwd=project, env=environment)
    assert time.monotonic() - start < PATIENCE_S
    assert result.returncode != 0
    assert output in result.stderr
