"""`pneumo release` and `pneumo preflight`, as people type them."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
RELEASE = "s3://models/lung/pneumo/1"


@pytest.fixture(scope="module")
def s3(endpoint: str) -> Iterator[Any]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="models")
    yield client
    client.close()


@pytest.fixture
def typed_there(typed: Run, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """With what a user exports to reach the store."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return typed


def test_champion_is_released_checked_and_found_altered(
    trained: Path, typed_there: Run, s3: Any
) -> None:
    published = typed_there("pneumo", "release", "--to", "s3://models/lung", cwd=trained)
    assert published.returncode == 0, published.stderr
    assert f"Published: {RELEASE}" in published.stdout
    intact = typed_there("pneumo", "release", "verify", RELEASE, cwd=trained)
    assert (intact.returncode, intact.stdout) == (0, "Every file is as it was published.\n")
    attested = typed_there("pneumo", "attest", RELEASE, cwd=trained)
    assert attested.returncode == 3  # nobody signed it
    assert "What was checked holds" in attested.stdout
    key = "lung/pneumo/1/bundle/weights.safetensors"
    s3.put_object(Bucket="models", Key=key, Body=b"other weights")
    altered = typed_there("pneumo", "release", "verify", RELEASE, cwd=trained)
    assert altered.returncode == 1
    assert altered.stdout.startswith("bundle/weights.safetensors was altered")
    (trained / "ledger" / "releases.jsonl").unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["release"], "Give the place: --to s3://BUCKET/PREFIX"),
        (["release", "--to", "s3://nowhere/x"], "s3://nowhere/x cannot be written to"),
        (["release", "--to", "models"], "models is not the address of a bucket"),
        (["release", "verify", "s3://models/nothing/1"], "No release at s3://models/nothing/1"),
    ],
)
def test_wrong_request_is_told_without_a_traceback(
    trained: Path, typed_there: Run, s3: Any, arguments: list[str], message: str
) -> None:
    assert s3 is not None
    result = typed_there("pneumo", *arguments, cwd=trained)
    assert result.returncode != 0
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


def test_preflight_names_the_remote(trained: Path, typed_there: Run) -> None:
    result = typed_there("pneumo", "preflight", cwd=trained)
    assert result.returncode == 0, result.stderr
    assert "var/dvc-store" in result.stdout
