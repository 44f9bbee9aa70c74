"""A project that stands just before the stage promote: drawn films, and two untrained models. And a
store that speaks S3, straight and through one that fails as stores do; and keys that sign."""

import http.client
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CELLS = ("test_efficientnet-full", "test_efficientnet-partial")
PHANTOM = {"kind": "phantom", "seed": 1} | {
    split: {"NORMAL": count, "PNEUMONIA": count}
    for split, count in {"train": 20, "val": 1, "test": 12}.items()
}
SMALL = {
    "ingest": {"source": "phantom.yaml"},
    "validate": {"image_size_px": 64},
    "split": {"val_per_class": 8},
    "augment": {"size_per_class": 16},
    "train": {"models": ["test_efficientnet"], "weights": "none"},
}


CODES = {403: "AccessDenied", 503: "SlowDown", 507: "XMinioStorageFull"}

Fault = int | float | Literal["cut"] | None


class FailingStore:
    """Hands on to the real one what `fault` lets through.

    It gives a status, seconds to wait, or that the connection is cut in the middle of the answer.
    """

    url: str  # once it is served

    def __init__(self, endpoint: str) -> None:
        self.fault: Callable[[str, str], Fault] = lambda _method, _path: None
        self.over = threading.Event()
        store = self
        there = urlsplit(endpoint).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = store.fault(self.command, urlsplit(self.path).path)
                if isinstance(fault, int):
                    output = f"<Error><Code>{CODES[fault]}</Code><Message>no</Message></Error>"
                    self._send(fault, {}, output.encode())
                    return
                if isinstance(fault, float) and store.over.wait(fault):
                    return  # nobody waits any more
                real = http.client.HTTPConnection(there)
                real.request(self.command, self.path, body, dict(self.headers))
                answer = real.getresponse()
                given = answer.read()
                self._send(answer.status, dict(answer.headers), given, cut=fault == "cut")
                real.close()

            def _send(
                self, status: int, headers: dict[str, str], body: bytes, cut: bool = False
            ) -> None:
                self.send_response(status)
                length = headers.get("Content-Length", str(len(body)))  # of what HEAD leaves out
                given = {"Transfer-Encoding", "Content-Length", "Connection", "Date", "Server"}
                for name, value in headers.items():
                    if name not in given:
                        self.send_header(name, value)
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                self.close_connection |= cut

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.handler = Handler


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do not change it: `project` is a copy to change."""
    from pneumo_core import params
    from tasks import augment, dedup, evaluate, ingest, split, validate

    folder = tmp_path_factory.mktemp("evaluated")
    shutil.copytree(ROOT / "mlflow", folder / "mlflow")
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, values in SMALL.items():
        settings[section] |= values
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    (folder / "phantom.yaml").write_text(yaml.safe_dump(PHANTOM))
    with inside(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")  # no copies of the evaluation
        chosen = params.load()
        for stage in (ingest, validate, dedup, split, augment):
            stage.run(chosen.section(stage.__name__.rpartition(".")[2]))
        for seed, cell in enumerate(CELLS):
            _write_untrained(cell, seed)
        evaluate.run(chosen.evaluate)
    return folder


def _write_untrained(cell: str, seed: int) -> None:
    """As the stage train leaves it."""
    import torch

    from pneumo_core.atomic import write_json
    from pneumo_core.models import bundled_model
    from pneumo_core.models.bundle import Blueprint, Normalisation, TrainingRecord
    from pneumo_core.models.weights import create_model
    from tasks import paths
    from tasks.graph import provenance

    architecture, strategy = cell.split("-")
    torch.manual_seed(seed)
    model, pretrained = create_model(architecture, "none", 2)
    origin = TrainingRecord(
        **provenance.data_hashes(), code_version="1", params={"seed": seed}, pretrained=pretrained
    )
    blueprint = Blueprint(
        name=cell,
        architecture=architecture,
        strategy=strategy,
        image_size_px=64,
        normalisation=Normalisation(0.5, 0.25),
        origin=origin,
    )
    folder = paths.TRAINED / cell
    folder.mkdir(parents=True)
    bundled_model.write_weights(model, folder / paths.WEIGHTS)
    write_json(folder / paths.BLUEPRINT, blueprint.model_dump(mode="json"))


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of it, with one bucket, `films`, and nothing of the user's in the environment."""
    import boto3

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    client = boto3.session.Session().client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="films")
    yield client
    client.close()
    reset = urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()


@pytest.fixture
def store(endpoint: str, served: Callable[..., Any]) -> Iterator[FailingStore]:
    failing = FailingStore(endpoint)
    with served(failing.handler) as failing.url:
        yield failing
        failing.over.set()


@pytest.fixture
def project(
    evaluated: Path, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of one's own, entered, with an MLflow of its own."""
    folder = tmp_path / "project"
    shutil.copytree(evaluated, folder, copy_function=shutil.copy)
    (folder / "var").mkdir(exist_ok=True)
    shutil.copy(empty_store, folder / "var" / "mlflow.db")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture
def promote_cell(project: Path) -> Callable[..., str]:  # noqa: ARG001 (needs to be inside)
    """Carries out a decision that was not made by the figures; gives the version."""
    from pneumo_core import params
    from pneumo_core.models import bundle
    from pneumo_core.promotion.promotion import Decision
    from tasks import paths
    from tasks.promote import Proposal, carry_out

    def promote(cell: str, role: str = "champion", outcome: str = "promoted") -> str:
        identity = bundle.identity(paths.EVALUATED / cell / paths.BUNDLE)
        proposal = Proposal(role, cell, identity, None, Decision(outcome, ()))
        return carry_out(params.load().promote, proposal, [proposal])

    return promote


@pytest.fixture
def key_pair(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a key pair as docs/operations.md does; gives the private key.

    The public half is in `trusted_keys` beside it.
    """

    def make(name: str) -> Path:
        private, public = tmp_path / f"{name}.key", tmp_path / "trusted_keys" / f"{name}.pem"
        public.parent.mkdir(exist_ok=True)
        for command in (
            ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private],
            ["openssl", "ec", "-in", private, "-pubout", "-out", public],
        ):
            subprocess.run(command, check=True, capture_output=True)
        private.chmod(0o600)
        return private

    return make
