"""The alias moves while films are read."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from flows.serving.app import Limits, create_app
from flows.serving.models import Model, load_model, successor
from pneumo_core.errors import PromotionError
from pneumo_core.inference.reader import Reader
from pneumo_core.models import bundle
from tasks.registry import model_versions


class Registry:
    """Which version has the alias, and where its bundle is."""

    def __init__(self, folder: Path) -> None:
        self.version, self.folder = "1", folder
        self.tags: dict[str, str] = {}

    def find_champion(self, name: str, alias: str) -> Any:
        assert (name, alias) == ("pneumo", "champion")
        return self

    def champion_bundle(self, name: str, alias: str) -> tuple[Path, str]:
        assert (name, alias) == ("pneumo", "champion")
        return self.folder, self.version


@pytest.fixture
def champion(small_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    shown = Registry(small_bundle)
    monkeypatch.setattr(model_versions, "find_champion", shown.find_champion)
    monkeypatch.setattr(model_versions, "champion_bundle", shown.champion_bundle)
    root = Path(__file__).parents[3]
    for part in ("params.yaml", "mlflow"):
        (tmp_path / part).symlink_to(root / part)
    monkeypatch.chdir(tmp_path)
    return shown


@pytest.fixture
def app(champion: Registry) -> Any:  # noqa: ARG001 (it is in place)
    """Looks at the alias all the time."""
    return create_app(load_model(None, "champion"), successor, Limits(poll_s=0.02))


def _altered_copy(folder: Path, target: Path, **changes: Any) -> Path:
    """A whole bundle that says something else of itself."""
    description = bundle.read_description(folder).model_copy(update=changes)
    bundle.save(
        target,
        description,
        folder / bundle.WEIGHTS,
        lambda path: shutil.copy(folder / bundle.REFERENCE, path) and None,
        folder / bundle.ONNX,
    )
    return target


def _until(client: TestClient, path: str, key: str, value: Any) -> None:
    done = threading.Event()
    for _ in range(1000):
        if client.get(path).json()[key] == value:
            return
        done.wait(0.02)
    raise AssertionError(f"{path} never said {key} = {value}")


def test_model_changes_whole_while_films_are_read(
    app: Any,
    champion: Registry,
    small_bundle: Path,
    film_bytes: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    """Each answer is that of the version that it names."""
    film = {"file": film_bytes(0)}
    other = _altered_copy(small_bundle, tmp_path / "other", slope=0.3)
    with TestClient(app) as client:
        answers: list[Any] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answers.append(client.post("/v1/predict", files=film))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        for version, folder in (("2", other), ("3", small_bundle), ("4", other)):
            champion.folder, champion.version = folder, version
            _until(
                client,
                "/v1/model",
                "model",
                {"name": "pneumo", "version": version, "alias": "champion"},
            )
            client.post("/v1/predict", files=film)
        stop.set()
        for thread in asking:
            thread.join()
    assert {answer.status_code for answer in answers} == {200}
    output = [answer.json() for answer in answers]
    of_version = {
        (each["model"]["version"] in "13", round(each["probability"], 6)) for each in output
    }
    assert len(of_version) == 2
    assert len({is_first for is_first, _ in of_version}) == 2


@pytest.mark.parametrize("fault", ["weights", "reference", "description", "version", "unfinished"])
def test_what_cannot_be_trusted_is_refused_and_the_model_stays(
    app: Any,
    champion: Registry,
    small_bundle: Path,
    film_bytes: Callable[..., bytes],
    tmp_path: Path,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(small_bundle, broken)
    files = {"weights": bundle.WEIGHTS, "reference": bundle.REFERENCE}
    if fault == "version":
        now, before = (b'"format_version": %d' % each for each in (bundle.FORMAT_VERSION, 1))
        _alter(broken / bundle.DESCRIPTION, now, before)
        _sign_again(broken)
    elif fault == "unfinished":
        (broken / bundle.WEIGHTS).unlink()
    elif fault == "description":
        _alter(broken / bundle.DESCRIPTION, b"reading_aid", b"reading_aim")
    else:
        data = bytearray((broken / files[fault]).read_bytes())
        data[-1] ^= 1
        (broken / files[fault]).write_bytes(data)
    with TestClient(app) as client:
        before = client.post("/v1/predict", files={"file": film_bytes(0)}).json()
        champion.folder, champion.version = broken, "2"
        _until(client, "/readyz", "newer_refused", True)
        after = client.post("/v1/predict", files={"file": film_bytes(0)})
        assert (after.status_code, after.json()) == (200, before)
        assert "pneumo_model_refusals_total 0.0" not in client.get("/metrics").text
        champion.folder, champion.version = small_bundle, "3"  # mended
        _until(client, "/readyz", "newer_refused", False)
        assert client.get("/v1/model").json()["model"]["version"] == "3"
    messages = [record.message for record in caplog.records if "The model stays" in record.message]
    assert len(messages) == 1, "the same fault is logged once"


def _alter(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def _sign_again(folder: Path) -> None:
    import hashlib
    import json

    signed = json.loads((folder / bundle.CHECKSUMS).read_text())
    sums = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in signed}
    (folder / bundle.CHECKSUMS).write_text(json.dumps(sums))


def test_registry_that_does_not_answer_leaves_the_model(
    app: Any, film_bytes: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionError("gone")

    with TestClient(app) as client:
        monkeypatch.setattr(model_versions, "find_champion", fail)
        _until(client, "/readyz", "newer_refused", True)
        assert client.post("/v1/predict", files={"file": film_bytes(0)}).status_code == 200


@pytest.mark.usefixtures("champion")
def test_alias_that_nobody_bears_any_more_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(None, "champion")

    def nobody(*_: Any) -> Any:
        raise PromotionError("No model pneumo@champion")

    monkeypatch.setattr(model_versions, "find_champion", lambda *_: None)
    monkeypatch.setattr(model_versions, "champion_bundle", nobody)
    with pytest.raises(PromotionError):
        successor(model)


def test_folder_is_not_followed(small_model: Model) -> None:
    assert successor(small_model) is None


def test_reader_of_another_operating_point_decides_otherwise(small_bundle: Path) -> None:
    model = Model(Reader.load(small_bundle, "screening"), "pneumo", "1", "screening", True)
    with TestClient(create_app(model, lambda _: None)) as client:
        output = client.get("/v1/model").json()
    assert output["operating_point"] == "screening"
    assert output["threshold"] == 0.01
    assert replace(model, alias=None).describe().startswith("Model pneumo, version 1, screening")
    outside = replace(model, in_ledger=False).describe()
    assert "version 1 (unverified: not in ledger/promotions.jsonl), screening" in outside


def test_role_of_a_real_registry_is_served_at_its_operating_point(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained)
    model = load_model(None, "screening")
    assert (model.name, model.version, model.alias) == ("pneumo", "1", "screening")
    assert model.reader.operating_point == "screening"
    assert successor(model) is None
