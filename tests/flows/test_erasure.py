"""One patient is erased from a project that has run, with remotes, MLflow and a release.

The test looks for the patient itself, in all bytes of the project and of the buckets.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pandas as pd
import pytest
import yaml

from tasks import ledger, paths

MIN_FILMS = 3  # of the patient, who is in train
STORES = {
    *("registry", "ledger", "MLflow runs", "releases", "DVC remotes", "DVC cache"),
    *("reports", "results", "var"),
}
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class There:
    """A project with all its stores, and commands in it."""

    project: Path
    environment: dict[str, str]
    s3: Any
    patient: str  # as the manifest calls the patient
    films: pd.DataFrame

    @property
    def num_files(self) -> int:
        return len(self.films)

    def run(self, *command: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.project,
            env=self.environment | changed,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def bytes_of_buckets(self) -> dict[str, bytes]:
        found = {}
        for bucket in ("store", "models"):
            for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                for each in page.get("Versions", []):
                    key, version = each["Key"], each["VersionId"]
                    answer = self.s3.get_object(Bucket=bucket, Key=key, VersionId=version)
                    found[f"{key} {version}"] = answer["Body"].read()
        return found

    def everything(self) -> dict[str, bytes]:
        files = (path for path in self.project.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files} | self.bytes_of_buckets()

    def traces(self) -> list[str]:
        """Return the files that are a film of the patient, or that name one."""
        words = {*self.films["image_id"], *self.films["pixel_sha256"]}
        pattern = [word.encode() for word in words]
        films = set(self.films["sha256"])
        return [
            name
            for name, data in self.everything().items()
            if hashlib.sha256(data).hexdigest() in films
            or any(word in data or word.decode() in name for word in pattern)
        ]


def output_of(result: subprocess.CompletedProcess[str]) -> str:
    return result.stdout + result.stderr


def held(output: str) -> set[str]:
    """Return the stores that hold something, by what a command printed."""
    lines = [line.strip() for line in output.splitlines() if line.startswith("  ")]
    assert {line.partition(":")[0] for line in lines} == STORES
    return {line.partition(":")[0] for line in lines if not line.endswith(": nothing")}


@pytest.fixture(scope="module")
def there(
    trained: Path,
    endpoint: str,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[There]:
    """A copy that was pushed to a folder and to a bucket that keeps versions, and released."""
    project = tmp_path_factory.mktemp("erasure") / "project"
    shutil.copytree(trained, project, symlinks=True)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    for bucket in ("store", "models"):
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    table = pd.read_parquet(project / paths.SPLIT)
    in_train = table[(table["split"] == "train") & (table["state"] == "kept")]
    sizes = in_train.groupby("patient_key").size()
    films = table[table["patient_key"] == sizes[sizes >= MIN_FILMS].index[0]]
    patient = str(films["patient_key"].iloc[0])
    in_s3 = environment | AWS | {"AWS_ENDPOINT_URL_S3": endpoint}
    place = There(project, in_s3, s3, patient, films)
    assert place.run("dvc", "push").returncode == 0
    assert place.run("dvc", "remote", "add", "s3", "s3://store/dvc").returncode == 0
    assert place.run("dvc", "push", "--remote", "s3").returncode == 0
    for key in [each["Key"] for each in s3.list_objects_v2(Bucket="store")["Contents"]][::7]:
        s3.delete_object(Bucket="store", Key=key)  # leaves the version that was there
    released = place.run("pneumo", "release", "--to", "s3://models/lung")
    assert released.returncode == 0, output_of(released)
    for command in (["add", "-A"], ["commit", "-qm", "run"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        assert place.run("git", *identity, *command).returncode == 0
    yield place
    s3.close()


@pytest.fixture(scope="module")
def others(there: There) -> dict[str, bytes]:
    """All films of the others, as they were."""
    raw = there.project / paths.RAW
    own = set(there.films["path"])
    return {
        path.relative_to(raw).as_posix(): path.read_bytes()
        for path in raw.rglob("*")
        if path.is_file() and path.relative_to(raw).as_posix() not in own
    }


def test_a_store_that_cannot_be_reached_is_named_and_nothing_is_lost(there: There) -> None:
    before = set(there.everything())
    asked = ("pneumo", "erase", there.patient, "--reason", "consent withdrawn", "--yes")
    result = there.run(*asked, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    assert result.returncode == 1
    assert "The store DVC remotes cannot be searched: s3://store/dvc" in result.stderr
    assert "Traceback" not in result.stderr
    assert before - set(there.everything()) == set()
    assert not (there.project / "ledger" / "erasures.jsonl").exists()


def test_what_would_go_is_told_and_an_answer_awaited(there: There) -> None:
    before = set(there.everything())
    result = there.run("pneumo", "erase", there.patient, "--reason", "consent withdrawn")
    assert result.returncode == 1
    assert "This cannot be undone" in result.stdout
    assert held(result.stdout) == STORES - {"ledger"}  # the source has its own splits: no pins
    assert f"results/ingest/raw: {there.num_files} films" in result.stdout
    assert set(there.everything()) == before


@pytest.fixture(scope="module")
def erased(there: There, others: dict[str, bytes]) -> There:
    assert len(others) > 200
    assert there.traces()
    result = there.run("pneumo", "erase", there.patient, "--reason", "consent withdrawn", "--yes")
    assert result.returncode == 0, output_of(result)
    assert "champion is version 1 (learned from), which is not used any more" in result.stdout
    return there


def test_no_byte_and_no_name_is_left_in_any_store(erased: There, others: dict[str, bytes]) -> None:
    assert erased.traces() == []
    kept = erased.project / paths.RAW
    assert {name: (kept / name).read_bytes() for name in others} == others
    cached = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (erased.project / ".dvc" / "cache" / "files").rglob("*")
        if path.is_file()
    }
    assert {hashlib.sha256(data).hexdigest() for data in others.values()} <= cached


def test_check_searches_nine_stores_and_sees_what_comes_back(erased: There) -> None:
    clear = erased.run("pneumo", "erase", "--check")
    assert (clear.returncode, held(clear.stdout)) == (0, set()), output_of(clear)
    other = next((erased.project / paths.RAW).rglob("*.jpeg"))
    (erased.project / "reports").mkdir(exist_ok=True)
    named = erased.project / "reports" / "note.txt"
    named.write_text(f"See {erased.films['sha256'].iloc[0]}.")
    found = erased.run("pneumo", "erase", "--check", erased.patient)
    named.unlink()
    assert (found.returncode, held(found.stdout)) == (3, {"reports"})
    nobody = erased.run("pneumo", "erase", "--check", other.stem)
    assert nobody.returncode == 1
    assert "not on the list" in nobody.stderr


def test_the_ledger_says_what_was_done_and_not_to_whom(erased: There) -> None:
    path = erased.project / "ledger" / "erasures.jsonl"
    (entry,) = ledger.read(path)
    assert entry["reason"] == "consent withdrawn"
    assert entry["stores"]["results"]["films"] == erased.num_files
    assert entry["stores"].keys() == STORES
    assert entry["models"] == ["pneumo version 1: learned from"]
    for each in (erased.project / "ledger").glob("*.jsonl"):
        assert ledger.broken_links(each) == []
    assert erased.patient not in (erased.project / paths.ERASED).read_text() + path.read_text()


def test_the_policy_says_whether_the_model_may_be_used(erased: There) -> None:
    film = str(next((erased.project / paths.RAW).rglob("*.jpeg")))
    refused = erased.run("pneumo", "predict", film)
    assert refused.returncode == 1
    assert "has to do with a patient who was erased" in refused.stderr
    assert "champion: pneumo version 1" in erased.run("pneumo", "registry", "verify").stderr
    policy = erased.project / "mlflow" / "phantom" / "champion.yaml"
    before = policy.read_text()
    policy.write_text(yaml.safe_dump(yaml.safe_load(before) | {"erased": "may_serve"}))
    allowed = erased.run("pneumo", "predict", film)
    policy.write_text(before)
    assert allowed.returncode == 0, output_of(allowed)


def test_the_next_run_leaves_the_patient_out(erased: There, others: dict[str, bytes]) -> None:
    result = erased.run("dvc", "repro", "split")
    assert result.returncode == 0, output_of(result)
    assert f"{len(erased.films)} films of erased patients are left out" in result.stdout
    table = pd.read_parquet(erased.project / paths.SPLIT)
    assert set(table["path"]) == others.keys()  # equal films are one file
    assert not set(erased.films["image_id"]) & set(table["image_id"])
    assert erased.traces() == []
    monitored = erased.run("pneumo", "erase", "--check")
    assert monitored.returncode == 0, output_of(monitored)


def test_without_the_salt_nothing_is_read(erased: There) -> None:
    salt = erased.project / "var" / "salt"
    assert salt.stat().st_mode & 0o777 == 0o600
    aside = salt.rename(salt.with_name("aside"))
    result = erased.run("pneumo", "stage", "ingest")
    aside.rename(salt)
    assert result.returncode == 1
    assert "cannot be read without the project's salt" in result.stderr
