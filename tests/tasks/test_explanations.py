"""Ordinary failures that no test of a whole command meets, each raised by its library."""

import socket
from collections.abc import Callable
from pathlib import Path

import boto3
import great_expectations
import numpy as np
import pytest
import sqlalchemy
import torch
from botocore import UNSIGNED
from botocore.config import Config

from tasks.explanations import explain


def no_memory(_: Path) -> None:
    np.zeros(1 << 58, np.uint8)


def full_database(folder: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'mlflow.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 2")
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(100000))")


def no_credentials(_: Path) -> None:
    _client("http://127.0.0.1:9").list_buckets()


def no_store(_: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    _client(
        address, Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    ).head_bucket(Bucket="films")


def _client(address: str, config: Config | None = None):
    return boto3.session.Session().client("s3", "us-east-1", endpoint_url=address, config=config)


def no_suite(_: Path) -> None:
    great_expectations.get_context(mode="ephemeral").suites.get("manifest")


def no_gpu_memory(_: Path) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")  # needs a GPU


@pytest.mark.parametrize(
    ("fail", "said"),
    [
        (no_memory, "This machine has too little free memory (Unable to allocate"),
        (full_database, "The disk with var/mlflow.db is full: make room there and run again."),
        (no_credentials, "S3 needs credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
        (no_store, "No S3 store answers at http://127.0.0.1:"),
        (no_suite, "Great Expectations could not check the manifest: "),
        (no_gpu_memory, "The GPU has too little free memory: end what else uses it"),
    ],
)
def test_a_failure_is_one_sentence(
    fail: Callable[[Path], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Exception) as raised:  # noqa: PT011
        fail(tmp_path)
    sentence = explain(raised.value)
    assert sentence is not None
    assert sentence.startswith(said)
    assert "\n" not in sentence
