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
def run_there(environment: dict[str, str], endpoint: str) -> Run:
    """With what a user exports to reach the store."""
    access = {"AWS_ENDPOINT_URL_S3": endpoint, "AWS_DEFAULT_REGION": "us-east-1"} | dict.fromkeys(
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "test"
    )

    def there(*command: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=environment | access, capture_output=True, text=True, check=False
        )

    return there


def test_champion_is_released_checked_and_found_altered(
    trained: Path, run_there: Run, s3: Any
) -> None:
    published = run_there("pneumo", "release", "--to", "s3://models/lung", cwd=trained)
    assert published.returncode == 0, published.stderr
    assert f"Published: {RELEASE}" in published.stdout
    intact = run_there("pneumo", "release", "verify", RELEASE, cwd=trained)
    assert (intact.returncode, intact.stdout) == (0, "Every file is as it was published.\n")
    key = "lung/pneumo/1/bundle/weights.safetensors"
    s3.put_object(Bucket="models", Key=key, Body=b"other weights")
    altered = run_there("pneumo", "release", "verify", RELEASE, cwd=trained)
    assert altered.returncode == 1
    assert altered.stdout.startswith("bundle/weights.safetensors was altered")
    (trained / "ledger" / "releases.jsonl").unlink()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["release"], "Where to? --to s3://BUCKET/PREFIX"),
        (["release", "--to", "s3://nowhere/x"], "s3://nowhere/x cannot be written to"),
        (["release", "--to", "models"], "models is no address of a bucket"),
        (["release", "verify", "s3://models/nothing/1"], "No release at s3://models/nothing/1"),
    ],
)
def test_wrong_request_is_told_without_a_traceback(
    trained: Path, run_there: Run, s3: Any, arguments: list[str], told: str
) -> None:
    assert s3 is not None
    result = run_there("pneumo", *arguments, cwd=trained)
    assert result.returncode != 0
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr


def test_preflight_names_the_remote(trained: Path, run_there: Run) -> None:
    result = run_there("pneumo", "preflight", cwd=trained)
    assert result.returncode == 0, result.stderr
    assert "var/dvc-store" in result.stdout
