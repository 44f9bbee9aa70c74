"""Ordinary failures of DVC, git, Prefect and MLflow, each as it really comes: one sentence."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Served = Callable[[type[BaseHTTPRequestHandler]], AbstractContextManager[str]]

CONFLICT = "<<<<<<< HEAD\nschema: '2.0'\n=======\nschema: '2.0'\n>>>>>>> other\n"
HOLD_LOCK = """
import sys
from dvc.repo import Repo
with Repo() as repo, repo.lock:
    print("held", flush=True)
    sys.stdin.read()
"""
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def project(make_project: Callable[[], Path]) -> Path:
    return make_project()


@contextmanager
def held(project: Path) -> Iterator[None]:
    """DVC's lock in the hands of another process."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK],
        cwd=project,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate(b"")


@contextmanager
def no_repository(project: Path) -> Iterator[None]:
    shutil.rmtree(project / ".git")
    yield


@contextmanager
def no_commit(project: Path) -> Iterator[None]:
    shutil.rmtree(project / ".git")
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    yield


@contextmanager
def another_owner(project: Path) -> Iterator[None]:
    if os.getuid():
        pytest.skip("only root can give files to another user")
    for path in (project, project / ".git"):
        os.chown(path, 12345, 12345)
    yield


def file_with(name: str, content: str) -> Callable[[Path], AbstractContextManager[None]]:
    @contextmanager
    def written(project: Path) -> Iterator[None]:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.format(project=project, pid=os.getpid()))
        yield

    return written


@contextmanager
def conflict_in_params(project: Path) -> Iterator[None]:
    params = project / "params.yaml"
    params.write_text("<<<<<<< HEAD\n" + params.read_text())
    yield


BEFORE_THE_FLOW: dict[str, tuple[Callable[[Path], AbstractContextManager[None]], str]] = {
    "GitHub's ZIP": (no_repository, "is not a git repository.*git init"),
    "no commit": (no_commit, "git names no commit for the ledger.*git commit"),
    "another owner": (another_owner, "belongs to another user.*safe.directory /"),
    "dvc.lock in conflict": (
        file_with("dvc.lock", CONFLICT),
        "dvc.lock is not YAML.*git checkout --ours dvc.lock",
    ),
    "dvc.lock of another DVC": (
        file_with("dvc.lock", "schema: '9.0'\nstages: {{}}\n"),
        "dvc.lock is not as this DVC expects it.*git restore dvc.lock",
    ),
    "empty dvc.lock": (file_with("dvc.lock", ""), "dvc.lock is not as this DVC expects it"),
    "dvc.yaml in conflict": (file_with("dvc.yaml", CONFLICT), "dvc.yaml is not YAML"),
    "params.yaml in conflict": (
        conflict_in_params,
        r"params.yaml has conflict marks of a merge \(<<<<<<<\): keep one side",
    ),
    "empty rwlock": (file_with(".dvc/tmp/rwlock", ""), "rwlock is damaged.*delete it"),
    "rwlock of another form": (file_with(".dvc/tmp/rwlock", "[]"), "rwlock is damaged"),
    "reused process number": (
        file_with(
            ".dvc/tmp/rwlock",
            '{{"read": {{}}, "write": {{"{project}/results/ingest/raw": '
            '{{"pid": {pid}, "cmd": "dvc repro"}}}}}}',
        ),
        r"results/ingest/raw is in use by process \d+ \(dvc repro\).*delete .dvc/tmp/rwlock",
    ),
    "DVC's lock is held": (held, "Another DVC command holds this project"),
}


def alarms(project: Path) -> list[str]:
    file = project / "var" / "failed_runs.jsonl"
    return [json.loads(line)["message"] for line in file.read_text().splitlines()]


def require_one_sentence(result: subprocess.CompletedProcess[str], sentence: str) -> str:
    assert result.returncode == 1, result.stdout + result.stderr
    last = result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr, result.stderr
    assert last.startswith("pneumo: "), result.stderr
    assert re.search(sentence, last), last
    return last.removeprefix("pneumo: ")


@pytest.mark.parametrize("kind", BEFORE_THE_FLOW)
def test_before_the_flow(kind: str, project: Path, typed: Run) -> None:
    breaking, sentence = BEFORE_THE_FLOW[kind]
    with breaking(project):
        result = typed("pneumo", "run", cwd=project)
    said = require_one_sentence(result, sentence)
    assert result.stderr.count("\n") == 1
    assert alarms(project) == [said]


class Login(BaseHTTPRequestHandler):
    """A proxy before a server, which asks for a login: by a page, or by a status."""

    status = 200

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        page = b"<html><title>Log in</title></html>"
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(page)))
        if self.status == 302:
            self.send_header("Location", "/login")
        self.end_headers()
        self.wfile.write(page)

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Moved(Login):
    status = 302


class Refused(Login):
    status = 401


@pytest.fixture(scope="module")
def fresh(make_project: Callable[[], Path]) -> Path:
    return make_project()


@pytest.fixture
def asked(fresh: Path, environment: dict[str, str]) -> Run:
    """Runs a command where a variable names a server."""

    def ask(name: str, address: str, *command: str) -> subprocess.CompletedProcess[str]:
        there = environment | {name: address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        return subprocess.run(command, cwd=fresh, env=there, capture_output=True, text=True)

    return ask


def test_no_prefect_server(asked: Run, fresh: Path) -> None:
    result = asked("PREFECT_API_URL", f"{NOBODY}/api", "pneumo", "run")
    said = require_one_sentence(result, f"No Prefect server answers at {NOBODY}.*PREFECT_API_URL")
    assert alarms(fresh)[-1] == said


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (Login, "No Prefect server answers at .*; a login page is none"),
        (Moved, "No Prefect server answers at .*; a login page is none"),
        (Refused, "The Prefect server refuses the login at .*PREFECT_API_AUTH_STRING"),
    ],
)
def test_a_login_before_the_prefect_server(
    page: type[Login], sentence: str, served: Served, asked: Run, fresh: Path
) -> None:
    with served(page) as address:
        result = asked("PREFECT_API_URL", f"{address}/api", "pneumo", "run")
    assert alarms(fresh)[-1] == require_one_sentence(result, sentence)


PREDICT = ("pneumo", "predict", "film.jpeg")


def test_no_mlflow_server(asked: Run) -> None:
    result = asked("MLFLOW_TRACKING_URI", NOBODY, *PREDICT)
    require_one_sentence(result, f"No MLflow server answers at {NOBODY}: start it, or correct")


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        (Login, "answers with a page, not as an MLflow server"),
        (Moved, "No MLflow server answers at "),
        (Refused, "The MLflow server refuses the login: set MLFLOW_TRACKING_USERNAME"),
    ],
)
def test_a_login_before_the_mlflow_server(
    page: type[Login], sentence: str, served: Served, asked: Run
) -> None:
    with served(page) as address:
        result = asked("MLFLOW_TRACKING_URI", address, *PREDICT)
    require_one_sentence(result, sentence)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("nonsense://nowhere", "The registry cannot be read. MLflow: .*nonsense"),
        ("postgresql://127.0.0.1:9/none", r"begin with postgresql\+psycopg://"),
    ],
)
def test_an_address_that_mlflow_cannot_use(address: str, sentence: str, asked: Run) -> None:
    require_one_sentence(asked("MLFLOW_TRACKING_URI", address, *PREDICT), sentence)


def damaged(database: Path) -> None:
    database.write_bytes(b"no database" * 1000)


def of_another_mlflow(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")


def read_only(database: Path) -> None:
    if not os.getuid():
        pytest.skip("root writes to every file")
    database.chmod(0o400)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (damaged, "The database of MLflow is damaged: take var/mlflow.db from a backup"),
        (of_another_mlflow, "MLflow's database has the schema 451aebb31d03.*mlflow db upgrade"),
        (read_only, "cannot be written to: correct the rights"),
    ],
)
def test_an_embedded_database_that_cannot_be_used(
    break_it: Callable[[Path], None], sentence: str, project: Path, empty_store: Path, typed: Run
) -> None:
    (project / "var").mkdir(exist_ok=True)
    shutil.copy(empty_store, project / "var")
    break_it(project / "var" / "mlflow.db")
    require_one_sentence(typed(*PREDICT, cwd=project), sentence)


def test_an_embedded_database_that_is_locked(project: Path, empty_store: Path, typed: Run) -> None:
    (project / "var").mkdir(exist_ok=True)
    shutil.copy(empty_store, project / "var")
    with closing(sqlite3.connect(project / "var" / "mlflow.db")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        require_one_sentence(typed(*PREDICT, cwd=project), "Another program has locked")
