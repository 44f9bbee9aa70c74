"""What may pass and what will not, told by errors as they really come."""

import errno
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import mlflow
import pytest
import requests
from botocore.config import Config

from pneumo_core.errors import DataError, SourceError
from tasks.graph import failures

NOBODY = "http://127.0.0.1:9"


class Refusing(BaseHTTPRequestHandler):
    """Answers with the status that the path names; hangs up on 0."""

    def do_GET(self) -> None:
        if status := int(self.path.split("/")[1]):
            self.send_error(status)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def by_urllib(server: str, status: int) -> None:
    urllib.request.urlopen(f"{server}/{status}/film", timeout=5)


def by_requests(server: str, status: int) -> None:
    requests.get(f"{server}/{status}/film", timeout=5).raise_for_status()


def by_boto3(server: str, status: int) -> None:
    once = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=server, region_name="us-east-1", config=once, **keys)
    try:
        client.get_object(Bucket=str(status), Key="film")
    finally:
        client.close()


def by_mlflow(server: str, status: int) -> None:
    mlflow.MlflowClient(f"{server}/{status}").get_run("0")


Ask = Callable[[str, int], None]
CLIENTS = pytest.mark.parametrize("ask", [by_urllib, by_requests, by_boto3, by_mlflow])


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def as_raised(ask: Ask, server: str, status: int) -> Exception:
    """As a source wraps it."""
    try:
        try:
            ask(server, status)
        except Exception as error:
            raise SourceError("the source cannot be read") from error
    except SourceError as error:
        return error
    raise AssertionError("it answered")


@CLIENTS
def test_nobody_there_may_pass(ask: Ask) -> None:
    assert failures.may_pass(as_raised(ask, NOBODY, 200))


@CLIENTS
@pytest.mark.parametrize(
    ("status", "expected"), [(503, True), (429, True), (403, False), (0, True)]
)
def test_an_answer_tells_by_its_status(ask: Ask, status: int, expected: bool, server: str) -> None:
    assert failures.may_pass(as_raised(ask, server, status)) is expected


@pytest.mark.parametrize(
    "error",
    [
        DataError("too many files are quarantined"),
        FileNotFoundError(errno.ENOENT, "no such file"),
        OSError(errno.ENOSPC, "No space left on device"),
    ],
)
def test_data_and_disks_do_not_pass(error: Exception) -> None:
    assert not failures.may_pass(error)


def test_a_stage_leaves_why_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert failures.recall("train@net-full") is None
    failures.record("train@net-full", ConnectionRefusedError("nobody"))
    assert failures.recall("train@net-full") == failures.Failure("nobody", may_pass=True)
    failures.forget("train@net-full")
    assert failures.recall("train@net-full") is None
