"""Publishing to moto's server, straight and through one that fails as stores do."""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.errors import BundleError, ReleaseError, StoreError
from pneumo_core.models import bundle
from pneumo_core.promotion.signatures import PrivateKey, TrustedKeys
from tasks import ledger, paths
from tasks.registry import release
from tasks.stores import preflight
from tasks.stores.buckets import Folder

PLACE = "models/pneumo/3"
NO_KEYS = TrustedKeys({}, {})
FILES = [
    *("bundle/bundle.json", "bundle/checksums.json"),
    *("bundle/model.onnx", "bundle/reference.safetensors", "bundle/weights.safetensors"),
    *("report/figures/a.svg", "report/index.html"),
]


@pytest.fixture
def to(
    s3: Any,  # noqa: ARG001 (it is there)
    store: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Folder:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.url)
    monkeypatch.chdir(tmp_path)
    return Folder("s3://films/models", read_timeout_s=1)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "report" / "figures").mkdir(parents=True)
    (tmp_path / "report" / "index.html").write_text("<p>한글")
    (tmp_path / "report" / "figures" / "a.svg").write_text("<svg/>")
    return tmp_path / "report"


@pytest.fixture
def version(small_bundle: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_bundle, tmp_path / "version" / "bundle")
    return tmp_path / "version"


@pytest.fixture
def publish(to: Folder, version: Path, report: Path) -> Callable[[], Folder]:
    return lambda: release.publish(to, "pneumo", "3", version, report)


def _keys(s3: Any) -> list[str]:
    found = s3.list_objects_v2(Bucket="films", Prefix="models/").get("Contents", [])
    return [each["Key"] for each in found]


def test_release_has_every_file_and_a_manifest(
    publish: Callable[[], Folder], s3: Any, small_bundle: Path
) -> None:
    place = publish()
    assert place.address == f"s3://films/{PLACE}"
    assert _keys(s3) == sorted(f"{PLACE}/{file}" for file in [*FILES, "release.json"])
    manifest = json.loads(place.read("release.json") or b"")
    assert list(manifest["files"]) == FILES
    assert manifest["bundle_sha256"] == bundle.identity(small_bundle)
    assert (manifest["name"], manifest["version"]) == ("pneumo", "3")
    weights = place.read("bundle/weights.safetensors")
    assert weights == (small_bundle / bundle.WEIGHTS).read_bytes()
    assert release.verify(place, NO_KEYS) == []


def test_publishing_again_changes_nothing(
    publish: Callable[[], Folder], store: Any, report: Path
) -> None:
    place = publish()
    put: list[str] = []
    store.fault = lambda method, path: put.append(path) if method == "PUT" else None
    publish()
    assert [path for path in put if "preflight" not in path] == []
    assert len(ledger.read(paths.RELEASE_LEDGER)) == 1
    (report / "index.html").write_text("another report")
    with pytest.raises(ReleaseError, match="was published with other content"):
        publish()
    assert release.verify(place, NO_KEYS) == []


@pytest.mark.parametrize("file", FILES)
def test_tampering_and_loss_are_found(publish: Callable[[], Folder], s3: Any, file: str) -> None:
    place = publish()
    data = place.read(file) or b""
    s3.put_object(Bucket="films", Key=f"{PLACE}/{file}", Body=data[:-1] + b"!")
    (fault,) = release.verify(place, NO_KEYS)
    assert fault.startswith(f"{file} was altered")
    s3.delete_object(Bucket="films", Key=f"{PLACE}/{file}")
    assert release.verify(place, NO_KEYS) == [f"{file} is missing"]


def test_file_that_does_not_belong_is_found(publish: Callable[[], Folder], s3: Any) -> None:
    place = publish()
    s3.put_object(Bucket="films", Key=f"{PLACE}/bundle/extra.pt", Body=b"x")
    assert release.verify(place, NO_KEYS) == ["bundle/extra.pt is not of this release"]


def test_files_exchanged_together_with_the_manifest_are_found_by_the_ledger(
    publish: Callable[[], Folder], s3: Any
) -> None:
    place = publish()
    page = b"a nicer report"
    manifest = json.loads(place.read("release.json") or b"")
    manifest["files"]["report/index.html"] = _sha256(page)
    s3.put_object(Bucket="films", Key=f"{PLACE}/report/index.html", Body=page)
    s3.put_object(Bucket="films", Key=f"{PLACE}/release.json", Body=json.dumps(manifest).encode())
    (fault,) = release.verify(place, NO_KEYS)
    assert fault == "release.json is not the one that ledger/releases.jsonl knows"


def _sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format_version": 2, "files": {}}'])
def test_manifest_that_cannot_be_read_is_an_error(
    publish: Callable[[], Folder], s3: Any, content: bytes
) -> None:
    place = publish()
    s3.put_object(Bucket="films", Key=f"{PLACE}/release.json", Body=content)
    with pytest.raises(ReleaseError, match=r"cannot be read|has release format 2"):
        release.verify(place, NO_KEYS)


@pytest.mark.parametrize(
    ("status", "code", "at"),
    [
        (507, "XMinioStorageFull", "weights.safetensors"),
        (503, "SlowDown", "release.json"),
        (403, "AccessDenied", "index.html"),
    ],
    ids=["no room", "overloaded", "refused"],
)
def test_store_that_refuses_on_the_way_leaves_nothing_published(
    publish: Callable[[], Folder],
    to: Folder,
    store: Any,
    status: int,
    code: str,
    at: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    asked: list[str] = []

    def fail(method: str, path: str) -> int | None:
        asked.append(path)
        return status if method == "PUT" and path.endswith(at) else None

    store.fault = fail
    with pytest.raises(StoreError, match=rf"cannot take .*{at}.*{code}"):
        publish()
    assert sum(path.endswith(at) for path in asked) <= 4  # it is asked again, but not for ever
    store.fault = lambda _method, _path: None
    with pytest.raises(ReleaseError, match="No release at s3://films/models/pneumo/3"):
        release.verify(to / "pneumo" / "3", NO_KEYS)
    assert not paths.RELEASE_LEDGER.exists()
    assert release.verify(publish(), NO_KEYS) == []  # once it has room again


def test_slow_store_is_given_up(
    publish: Callable[[], Folder], store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    store.fault = lambda method, _path: 3.0 if method == "PUT" else None
    begun = time.monotonic()
    with pytest.raises(StoreError, match="Read timeout"):
        publish()
    assert time.monotonic() - begun < 30


def test_what_an_earlier_attempt_left_is_not_published_with_it(
    publish: Callable[[], Folder], to: Folder, s3: Any
) -> None:
    s3.put_object(Bucket="films", Key=f"{PLACE}/report/old.svg", Body=b"x")
    with pytest.raises(ReleaseError, match=r"is not published: .*report/old\.svg"):
        publish()
    with pytest.raises(ReleaseError, match="No release"):
        release.verify(to / "pneumo" / "3", NO_KEYS)


def test_a_release_is_signed_as_its_version_is(
    publish: Callable[[], Folder], version: Path, key_pair: Callable[[str], Path], s3: Any
) -> None:
    key = key_pair("anna")
    (version / "statement.json").write_text("{}")
    PrivateKey(key).sign_folder(version)
    place, trusted = publish(), TrustedKeys.read(key.parent / "trusted_keys")
    assert release.verify(place, trusted) == []
    (fault,) = release.verify(place, NO_KEYS)
    assert re.fullmatch("the model is signed by the key [0-9a-f]{12}, which nobody .*", fault)
    # Whoever can write to the bucket and to the ledger recomputes all checksums.
    data = json.loads(place.read("release.json") or b"")
    data["files"]["statement.json"] = hashlib.sha256(b"{ }").hexdigest()
    for name, content in {"statement.json": b"{ }", "release.json": json.dumps(data)}.items():
        s3.put_object(Bucket="films", Key=f"{PLACE}/{name}", Body=content)
    paths.RELEASE_LEDGER.unlink()
    assert release.verify(place, trusted) == ["the model is altered after anna signed it"]


def test_where_keys_are_trusted_an_unsigned_release_is_a_fault(
    publish: Callable[[], Folder], key_pair: Callable[[str], Path]
) -> None:
    trusted = TrustedKeys.read(key_pair("anna").parent / "trusted_keys")
    assert release.verify(publish(), trusted) == ["the model is not signed"]


def test_broken_bundle_is_not_published(
    publish: Callable[[], Folder], version: Path, s3: Any
) -> None:
    (version / "bundle" / bundle.WEIGHTS).write_bytes(b"")
    with pytest.raises(BundleError, match="was altered"):
        publish()
    assert _keys(s3) == []


@pytest.mark.usefixtures("to")
def test_address_that_is_none_is_an_error() -> None:
    for address in ("films/models", "https://films/models", "s3://"):
        with pytest.raises(StoreError, match="is not the address of a bucket"):
            Folder(address).require_writable()


@pytest.mark.parametrize("wrong", ["bucket", "key", "store"])
def test_preflight_tells_within_seconds_what_is_wrong(
    project: Path, s3: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    _use_remote(project, "s3://films/store", endpoint)
    assert preflight.require_remote() == "s3://films/store"
    assert s3.list_objects_v2(Bucket="films")["KeyCount"] == 0
    begun = time.monotonic()
    if wrong == "bucket":
        _use_remote(project, "s3://nowhere/store", endpoint)
    elif wrong == "store":
        _use_remote(project, "s3://films/store", "http://127.0.0.1:9")
    else:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="cannot be written to"):
        preflight.require_remote()
    assert time.monotonic() - begun < 15


def test_credentials_of_the_remote_itself_are_used(
    project: Path, s3: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert s3 is not None
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    keys = "    access_key_id = a\n    secret_access_key = b\n"
    _use_remote(project, "s3://films/store", endpoint, keys)
    assert preflight.require_remote() == "s3://films/store"


def test_remote_that_is_a_folder_needs_nothing(project: Path) -> None:
    _use_remote(project, "../store", "")
    assert preflight.require_remote().endswith("store")


def _use_remote(project: Path, url: str, endpoint: str, more: str = "") -> None:
    (project / ".dvc").mkdir(exist_ok=True)
    address = f"    endpointurl = {endpoint}\n" if endpoint else ""
    (project / ".dvc" / "config").write_text(
        f"[core]\n    no_scm = true\n    remote = store\n['remote \"store\"']\n    url = {url}\n"
        f"{address}{more}"
    )


def test_report_of_another_run_is_not_released(
    project: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.graph.dvc_graph.stale_stages", lambda **_: {})
    (cell, *_) = sorted((project / paths.EVALUATED).iterdir())
    with pytest.raises(ReleaseError, match="not of the run that made this model"):
        release.report_of(cell / paths.BUNDLE)  # no report at all
    paths.REPORT.mkdir()
    (paths.REPORT / paths.PAGE).write_text("report")
    assert release.report_of(cell / paths.BUNDLE) == paths.REPORT
    with pytest.raises(ReleaseError, match="not of the run that made this model"):
        release.report_of(small_bundle)
    monkeypatch.setattr("tasks.graph.dvc_graph.stale_stages", lambda **_: {"report": set()})
    with pytest.raises(ReleaseError, match="stale"):
        release.report_of(cell / paths.BUNDLE)
