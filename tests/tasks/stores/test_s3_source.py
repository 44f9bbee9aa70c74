"""S3 by moto's server, which speaks the protocol over HTTP."""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from moto.s3.models import s3_backends

from pneumo_core.data import manifest
from pneumo_core.errors import DataError, SourceError
from pneumo_core.labels import LABELS
from pneumo_core.params import IngestParams
from pneumo_core.sources import collect
from pneumo_core.sources.description import Opening
from pneumo_core.sources.patient_rules import name_patients
from pneumo_core.sources.source import Source
from tasks.stores.s3_source import S3Description
from tasks.stores.sources import open_source

FILMS = {
    f"{split}/{label}/person{n}_virus_{n}.jpeg": f"{split}{label}{n}".encode()
    for split in ("train", "test")
    for label in LABELS
    for n in range(3)
}


@pytest.fixture
def put(s3: Any) -> Callable[..., None]:
    def upload(files: dict[str, bytes], prefix: str = "chest/", **more: Any) -> None:
        with ThreadPoolExecutor(8) as pool:
            for name, data in files.items():
                key = f"{prefix}{name}"
                pool.submit(s3.put_object, Bucket="films", Key=key, Body=data, **more)

    return upload


@pytest.fixture
def source(tmp_path: Path, endpoint: str) -> Callable[..., Source]:
    def open_it(limits: dict[str, Any] | None = None, **description: Any) -> Source:
        wanted = {"bucket": "films", "prefix": "chest/", "endpoint_url": endpoint} | description
        params = IngestParams.model_validate({"source": "x"} | (limits or {}))
        opening = Opening(params, {}, tmp_path / "cache")
        return S3Description.model_validate({"kind": "s3"} | wanted).source(opening)

    return open_it


def _cached(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_objects_below_the_prefix_come_with_their_bytes(
    tmp_path: Path, put: Callable[..., None], source: Callable[..., Source]
) -> None:
    put(FILMS)
    put({"train/NORMAL/elsewhere.jpeg": b"x"}, prefix="other/")
    put({"train/NORMAL/": b"", "train/NORMAL/.DS_Store": b"x", "notes.txt": b"x"})
    table = collect.collect(name_patients(source().files(), "auto"), tmp_path / "raw")
    copies = zip(table["file"], table["path"], strict=True)
    assert {file: (tmp_path / "raw" / path).read_bytes() for file, path in copies} == FILMS
    assert manifest.count(table, "origin", "state") == {"s3/kept": len(FILMS)}
    assert set(table["patient_rule"]) == {"kermany"}


def test_more_than_one_page_is_listed(
    put: Callable[..., None], source: Callable[..., Source]
) -> None:
    names = {f"train/NORMAL/{n:04d}.png": b"" for n in range(1005)}  # a page has 1,000
    put(names)
    assert [file.place for file in source().files()] == sorted(names)


def test_interrupted_ingest_goes_on_where_it_was(
    tmp_path: Path, s3: Any, put: Callable[..., None], source: Callable[..., Source]
) -> None:
    put(FILMS)
    first, *_ = source().files()
    first.read()
    assert len(_cached(tmp_path)) == 1
    given: list[str] = []
    resumed: Any = source()
    real = resumed._client()
    real.meta.events.register(
        "before-call.s3.GetObject", lambda params, **_: given.append(params["url_path"])
    )
    object.__setattr__(resumed, "_client", lambda: real)
    collect.collect(resumed.files(), tmp_path / "raw")
    assert len(given) == len(FILMS) - 1
    collect.collect(resumed.files(), tmp_path / "raw")
    assert len(given) == len(FILMS) - 1
    s3.put_object(Bucket="films", Key=f"chest/{first.place}", Body=b"another film")
    collect.collect(resumed.files(), tmp_path / "raw")
    assert len(given) == len(FILMS)
    copies = [path.read_bytes() for path in (tmp_path / "raw").rglob("*.*")]
    assert b"another film" in copies
    assert FILMS[first.place] not in copies


def test_cut_cache_file_is_fetched_again(
    tmp_path: Path, put: Callable[..., None], source: Callable[..., Source]
) -> None:
    put(FILMS)
    first, *_ = source().files()
    first.read()
    (path,) = _cached(tmp_path)
    path.write_bytes(b"")
    assert first.read() == FILMS[first.place]


def test_object_altered_or_gone_since_listing_is_quarantined(
    tmp_path: Path, s3: Any, put: Callable[..., None], source: Callable[..., Source]
) -> None:
    put(FILMS)
    altered, gone, *_ = FILMS
    given: Any = source()
    files = given.files()
    s3.put_object(Bucket="films", Key=f"chest/{altered}", Body=b"altered")
    s3.delete_object(Bucket="films", Key=f"chest/{gone}")
    reasons = {}
    for file in files:
        try:
            file.read()
        except OSError as error:
            reasons[file.place] = str(error)
    assert set(reasons) == {altered, gone}
    assert all("S3 did not give it" in reason for reason in reasons.values())
    assert len(_cached(tmp_path)) == len(FILMS) - 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"data": b"short"}, "gave 5 bytes, its list says"),
        ({"same_size": True}, "do not match their ETag"),
    ],
)
def test_other_bytes_than_listed_are_refused(
    tmp_path: Path,
    put: Callable[..., None],
    source: Callable[..., Source],
    answer: dict[str, Any],
    message: str,
) -> None:
    """A store behind the client that gives other bytes without a checksum of its own."""
    put(FILMS)
    given: Any = source()
    first, *_ = given.files()
    data = answer.get("data", bytes(first.num_bytes))

    class Liar:
        def get_object(self, **_: Any) -> Any:
            return {"Body": io.BytesIO(data)}

    _, wanted = first.read.args
    with pytest.raises(OSError, match=message):
        given._read(Liar(), wanted)
    assert not _cached(tmp_path)


def test_stored_checksum_is_held_against_the_bytes(
    tmp_path: Path, put: Callable[..., None], source: Callable[..., Source]
) -> None:
    put(FILMS, ChecksumAlgorithm="SHA256")
    (buckets,) = (each["aws"].buckets for each in s3_backends.values())
    for stored in buckets["films"].keys.values():
        stored.value = stored.value[::-1]  # the disk of the store went bad
    first, *_ = source().files()
    with pytest.raises(OSError, match=r"S3 did not give it: .*checksum"):
        first.read()
    assert not _cached(tmp_path)


def test_multipart_etag_is_no_md5(
    put: Callable[..., None], s3: Any, source: Callable[..., Source]
) -> None:
    put(FILMS)
    key = "chest/train/NORMAL/large.jpeg"
    begun = s3.create_multipart_upload(Bucket="films", Key=key)
    part = {"Bucket": "films", "Key": key, "UploadId": begun["UploadId"]}
    etag = s3.upload_part(**part, PartNumber=1, Body=b"one part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(**part, MultipartUpload=parts)
    (file,) = (each for each in source().files() if each.name == "large.jpeg")
    assert file.read() == b"one part"


def test_dicom_gets_into_neither_copy_nor_cache(
    tmp_path: Path, put: Callable[..., None], source: Callable[..., Source]
) -> None:
    put(FILMS | {"train/NORMAL/a.dcm": bytes(128) + b"DICM" + b"Hong^Gildong"})
    table = collect.collect(source().files(), tmp_path / "raw").set_index("file")
    assert "kind: dicom" in table.at["train/NORMAL/a.dcm", "reason"]
    assert manifest.count(table, "state") == {"kept": len(FILMS), "quarantined": 1}
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"Hong" in p.read_bytes()]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_files": 3}, r"s3://films/chest/ holds 12 files, ingest\.max_files allows 3"),
        ({"max_total_gb": 1e-9}, r"ingest\.max_total_gb allows 1e-09"),
    ],
)
def test_too_much_is_refused_before_it_is_fetched(
    put: Callable[..., None], source: Callable[..., Source], limits: dict[str, Any], message: str
) -> None:
    put(FILMS)
    with pytest.raises(SourceError, match=message):
        source(limits).files()


@pytest.mark.usefixtures("s3")
def test_empty_prefix_and_missing_class_are_clear_errors(
    tmp_path: Path, put: Callable[..., None], source: Callable[..., Source]
) -> None:
    with pytest.raises(SourceError, match="No images in s3://films/chest/"):
        source().files()
    put({"train/NORMAL/a.png": b"x", "test/NORMAL/b.png": b"y"})
    with pytest.raises(DataError, match="train/PNEUMONIA"):
        collect.collect(source().files(), tmp_path / "raw")


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket": "no-such-bucket"},
        {"endpoint_url": "http://127.0.0.1:9"},
        {"endpoint_url": "no address"},
        {"bucket": "Not A Bucket!"},
        "no credentials",
    ],
    ids=str,
)
@pytest.mark.usefixtures("s3")
def test_what_cannot_be_reached_is_told_within_seconds(
    source: Callable[..., Source], monkeypatch: pytest.MonkeyPatch, wrong: Any
) -> None:
    if wrong == "no credentials":
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        wrong = {}
    start = time.monotonic()
    with pytest.raises(SourceError, match="cannot be listed") as raised:
        source(**wrong).files()
    assert time.monotonic() - start < 10
    for message in ("AWS_ACCESS_KEY_ID", "By hand: aws s3 sync", "--set ingest.source="):
        assert message in str(raised.value)


def test_description_of_s3_is_opened(
    tmp_path: Path, put: Callable[..., None], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(FILMS)
    (tmp_path / "films.yaml").write_text(
        f"kind: s3\nbucket: films\nprefix: chest/\nendpoint_url: {endpoint}\n"
    )
    (tmp_path / "all.yaml").write_text("kind: several\nsources: {cloud: films.yaml}\n")
    monkeypatch.chdir(tmp_path)
    files = open_source(IngestParams(source="all.yaml")).files()
    assert {file.origin for file in files} == {"cloud"}
    assert files[0].read()
    assert list((tmp_path / "var" / "sources" / "s3").iterdir())
