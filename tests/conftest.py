"""Real projects for tests: the repository's own files in a folder of their own."""

import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pneumo_core import versions
from tasks import telemetry_off

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
DX_IMAGE = "1.2.840.10008.5.1.4.1.1.1.1"
SHARED_DATA = ROOT.parent / "shared" / "data"
PARTS = (
    "dvc.yaml",
    "params.yaml",
    "prefect.yaml",
    "sources",
    "profiles",
    "mlflow",
    "flows",
    "tasks",
    "pneumo_core",
)

CHROMIUM = Path("/usr/bin/chromium")
QUIET_BROWSER = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

# What means whole projects, data, servers or browsers
SLOW = {"make_project", "archive", "team", "endpoint", "browser", "empty_store"}

telemetry_off.apply()
# pytest's workers share the cores, and their models are small
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SLOW.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def archive() -> Path:
    """The public archive at 224 px, on machines that have it."""
    path = SHARED_DATA / "chest_xray_224.zip"
    if not path.is_file():
        pytest.skip("the public archive is not on this machine")
    return path


@pytest.fixture(scope="module")  # one that stays open would leave its event loop to other tests
def browser() -> Iterator["Browser"]:
    if not CHROMIUM.is_file():
        pytest.skip("Debian's chromium is not on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET_BROWSER)
        yield started
        started.close()


@pytest.fixture(scope="session")
def served() -> Callable[[type[BaseHTTPRequestHandler]], AbstractContextManager[str]]:
    """A web server on loopback, by its address, while the context lasts."""

    @contextmanager
    def serve(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # a client that gave up
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serve


@pytest.fixture(scope="session")
def small_film() -> Callable[[int], Any]:
    """A smooth gray picture of its own for each number, [80, 96]: a film to `small_bundle`."""
    from PIL import Image

    def draw(number: int) -> Any:
        coarse = np.random.default_rng(number).integers(0, 256, (7, 7), dtype=np.uint8)
        return np.array(Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC))

    return draw


@pytest.fixture(scope="session")
def small_bundle(
    tmp_path_factory: pytest.TempPathFactory, small_film: Callable[[int], Any]
) -> Path:
    """A bundle for films of 64 px, of an untrained model that calls half of them positive."""
    import torch

    from pneumo_core.data.images import resize
    from pneumo_core.evaluation.scoring import Scorer
    from pneumo_core.models import bundle, bundled_model
    from pneumo_core.models.bundle import (
        Blueprint,
        Description,
        Normalisation,
        OperatingPoint,
        TrainingRecord,
    )
    from pneumo_core.models.weights import create_model

    torch.manual_seed(0)
    model, pretrained = create_model("test_efficientnet", "none", 2)
    folder = tmp_path_factory.mktemp("small")
    bundled_model.write_weights(model, folder / "weights")
    blueprint = Blueprint(
        name="test_efficientnet-full",
        architecture="test_efficientnet",
        strategy="full",
        image_size_px=64,
        normalisation=Normalisation(0.5, 0.5),
        origin=TrainingRecord(
            data_sha256="d" * 64,
            train_sha256="e" * 64,
            code_version="1",
            params={},
            pretrained=pretrained,
        ),
    )
    films = np.stack([resize(small_film(number), 64) for number in range(500)])
    scorer = Scorer.uncalibrated(blueprint, folder / "weights")
    reference = _reference_of(scorer, films)
    middle = float(np.median(reference.val_probabilities))
    points = {
        "reading_aid": OperatingPoint(middle, middle, middle),
        "screening": OperatingPoint(0.01, 0.0, 0.02),
    }
    description = Description(**dict(blueprint), slope=1.0, intercept=0.0, operating_points=points)
    bundle.save(folder / "bundle", description, folder / "weights", reference.write)
    return folder / "bundle"


def _reference_of(scorer: Any, films: Any) -> Any:
    """Reference from 200 training films, the others as validation, half of them positive."""
    from pneumo_core.evaluation.reference import Reference, measure_films

    logits, features = scorer.predict(films)
    train, val = slice(0, 200), slice(200, len(films))
    num_val = len(films) - 200
    probabilities = scorer.probabilities(logits[val])
    return Reference.of(
        measure_films(films[train], [96] * 200, [80] * 200),
        features[train],
        measure_films(films[val], [96] * num_val, [80] * num_val),
        features[val],
        probabilities,
        (probabilities > np.median(probabilities)).astype(np.int64),
        np.arange(num_val),
    )


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., Path]:
    """Writes a DICOM film of one hospital patient; keywords are DICOM's, None leaves one out."""

    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    def write(path: Path, pixels: np.ndarray[Any, Any] | None = None, **header: Any) -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = DX_IMAGE
        meta.TransferSyntaxUID = header.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
        film = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
        defaults: dict[str, Any] = {
            "SOPClassUID": DX_IMAGE,
            "SOPInstanceUID": generate_uid(),
            "PatientID": "H-4711",
            "PatientName": "Hong^Gildong",
        }
        if pixels is not None:
            defaults |= {
                "Rows": pixels.shape[-2],
                "Columns": pixels.shape[-1],
                "SamplesPerPixel": 1,
                "PhotometricInterpretation": "MONOCHROME2",
                "BitsAllocated": pixels.itemsize * 8,
                "BitsStored": pixels.itemsize * 8,
                "HighBit": pixels.itemsize * 8 - 1,
                "PixelRepresentation": int(pixels.dtype.kind == "i"),
                "PixelData": pixels.tobytes(),
            }
        for keyword, value in (defaults | header).items():
            if value is not None:
                setattr(film, keyword, value)
        if "PixelData" in film:
            film["PixelData"].VR = "OW"
        meta.MediaStorageSOPInstanceUID = film.get("SOPInstanceUID") or generate_uid()
        path.parent.mkdir(parents=True, exist_ok=True)
        film.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """S3 by moto's server, which speaks the protocol over HTTP."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def make_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a fresh clone-like project; nothing of the user's is read or written."""

    def make() -> Path:
        folder = tmp_path_factory.mktemp("project")
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / part, ignore=ignore)
            else:
                shutil.copy(source, folder / part)
        versions.record(folder / "var" / "versions")
        (folder / ".dvc").mkdir()
        shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
        for name in (".dvcignore", ".gitignore"):
            shutil.copy(ROOT / name, folder / name)
        # One commit for all projects: the report names it.
        day = {f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
            subprocess.run(
                ["git", *identity, *command], cwd=folder, env=os.environ | day, check=True
            )
        return folder

    return make


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """This process's environment with a home of its own for Prefect and no server configured."""
    from tasks.graph.dvc_stage import environment

    home = tmp_path_factory.mktemp("prefect")
    kept = {
        k: v
        for k, v in environment().items()
        if k not in {"PREFECT_API_URL", "MLFLOW_TRACKING_URI"}
    }
    return kept | {"PREFECT_HOME": str(home), "CUDA_VISIBLE_DEVICES": ""} | {"HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def closed_network(environment: dict[str, str]) -> dict[str, str]:
    """The same, where no Python reaches another machine; PNEUMO_NETWORK_LOG is to be set."""
    paths = [str(ROOT / "tests" / "no_network"), *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {"PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(scope="session")
def run(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command as a user would, in a project; does not raise."""

    def run(*command: str | os.PathLike[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.fixture
def typed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command of pneumo's in this very process, sooner by the packages that it needs."""
    from flows.cli import app

    def typed(*command: str | os.PathLike[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        capfd.readouterr()
        assert command[0] == "pneumo"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as a process of its own has them
            with pytest.raises(SystemExit) as end:
                app.main()
        output = capfd.readouterr()
        return subprocess.CompletedProcess(
            command, int(end.value.code or 0), output.out, output.err
        )

    return typed


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database with its tables, whose making takes most of a test's time."""
    import mlflow

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
