"""Kaggle's own client against a loopback server that speaks enough of its protocol."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumo_core.data import manifest
from pneumo_core.errors import SourceError
from pneumo_core.sources import collect, facts
from pneumo_core.sources.source import Source

pytestmark = pytest.mark.slow

Describe = Callable[..., Source]

SERVICE = "/v1/datasets.DatasetApiService"


@pytest.fixture
def kaggle(web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The client believes that this is Kaggle, and that nobody has logged in."""
    from kagglesdk import kaggle_env

    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, web.url)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_API_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    return web


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"chest_xray/{name}", data)
    return buffer.getvalue()


def _asked_for(handler: Any) -> dict[str, Any]:
    asked: dict[str, Any] = json.loads(handler.body)
    return asked


def test_pinned_version_is_fetched_once(
    kaggle: Any, tmp_path: Path, open_description: Describe, one_of_each: dict[str, bytes]
) -> None:
    asked = []

    def download(handler: Any) -> Any:
        asked.append(_asked_for(handler))
        return 200, {"Content-Type": "application/zip"}, _zip(one_of_each)

    kaggle.answers[f"{SERVICE}/DownloadDataset"] = download
    source = open_description(kind="kaggle", version=2)
    table = collect.collect(source.files(), tmp_path / "raw")
    copies = zip(table["file"], table["path"], strict=True)
    assert {file: (tmp_path / "raw" / path).read_bytes() for file, path in copies} == one_of_each
    assert manifest.count(table, "origin", "state") == {"kaggle/kept": 4}
    owner, _, name = facts.KERMANY_KAGGLE.handle.partition("/")
    assert asked[0]["ownerSlug"] == owner
    assert asked[0]["datasetSlug"] == name
    assert asked[0]["datasetVersionNumber"] == 2
    assert len(source.files()) == 4
    assert len(asked) == 1
    assert {file.data_set for file in source.files()} == {facts.KERMANY_KAGGLE}


def test_newest_version_is_asked_for_where_none_is_pinned(
    kaggle: Any, open_description: Describe, one_of_each: dict[str, bytes]
) -> None:
    answer = json.dumps({"currentVersionNumber": 5}).encode()
    kaggle.answers[f"{SERVICE}/GetDataset"] = 200, {"Content-Type": "application/json"}, answer
    kaggle.answers[f"{SERVICE}/DownloadDataset"] = _zip(one_of_each)
    files = open_description(kind="kaggle", dataset="someone/films").files()
    assert len(files) == 4
    assert {file.data_set for file in files} == {None}


def _refuse(status: int) -> Any:
    return status, {"Content-Type": "application/json"}, b'{"code": %d, "message": "no"}' % status


@pytest.mark.parametrize(
    "answer", [_refuse(401), _refuse(403), _refuse(404), _refuse(500), b"no archive"]
)
def test_refusal_says_what_to_do_by_hand(
    kaggle: Any, open_description: Describe, answer: Any
) -> None:
    kaggle.answers[f"{SERVICE}/DownloadDataset"] = answer
    with pytest.raises(SourceError, match="Kaggle did not give") as raised:
        open_description(kind="kaggle", version=2).files()
    assert f"By hand: open {facts.KERMANY_KAGGLE.page}," in str(raised.value)
    assert "--set ingest.source=PATH_TO_THE_ZIP" in str(raised.value)


@pytest.mark.usefixtures("kaggle")
def test_no_network_says_what_to_do_by_hand(
    open_description: Describe, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kagglesdk import kaggle_env

    nobody = "http://127.0.0.1:9"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, nobody)
    with pytest.raises(SourceError, match="By hand: open"):
        open_description(kind="kaggle", version=2).files()


@pytest.mark.usefixtures("kaggle")
@pytest.mark.parametrize("dataset", ["films", "a/b/c/d/e", ""])
def test_bad_handle_is_one_clear_error(open_description: Describe, dataset: str) -> None:
    with pytest.raises(SourceError, match="Kaggle did not give"):
        open_description(kind="kaggle", dataset=dataset).files()
