"""Films are read, served and verified where neither torch nor the pipeline is installed."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import httpx
import pytest

from pneumo_core.inference.files import load_model, predict
from tests.test_dependencies import ROOT, _declared, _normal

ABSENT = {_normal(name) for name in _declared("train", "ops", "dev") - _declared("serve")}
BLOCKED = sorted(
    module
    for module, names in packages_distributions().items()
    if {_normal(name) for name in names} & ABSENT
)
SITE = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which Python finds none of these packages."""
    assert {"torch", "timm", "pandas", "prefect", "mlflow", "dvc"} <= set(BLOCKED)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _pneumo(
    environment: dict[str, str], *arguments: object, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("pneumo")), *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True)


def _film(folder: Path, small_film: Callable[[int], Any]) -> Path:
    from PIL import Image

    Image.fromarray(small_film(3)).save(folder / "film.png")
    return folder / "film.png"


def test_a_film_is_read(
    environment: dict[str, str],
    small_bundle: Path,
    small_film: Callable[[int], Any],
    tmp_path: Path,
) -> None:
    film = _film(tmp_path, small_film)
    found = _pneumo(environment, "predict", "--bundle", small_bundle, "--json", film)
    assert found.returncode == 0, found.stderr
    (ours,) = predict(load_model(small_bundle), [film])
    assert json.loads(found.stdout) == ours


@contextmanager
def _serving(environment: dict[str, str], bundle: Path, port: int) -> Iterator[httpx.Client]:
    command = [Path(sys.executable).with_name("pneumo"), "serve", "--bundle", bundle]
    server = subprocess.Popen(
        [*map(str, command), "--port", str(port)], env=environment, stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            transport=httpx.HTTPTransport(retries=10),
            timeout=60,
        ) as client:
            yield client
    finally:
        server.terminate()
        server.communicate()


def test_a_film_is_served_with_its_map(
    environment: dict[str, str],
    small_bundle: Path,
    small_film: Callable[[int], Any],
    free_ports: Callable[..., dict[str, int]],
    tmp_path: Path,
) -> None:
    film = _film(tmp_path, small_film)
    (ours,) = predict(load_model(small_bundle), [film])
    with _serving(environment, small_bundle, free_ports("http")["http"]) as client:
        answer = client.post("/v1/predict", files={"file": film.read_bytes()})
        assert answer.json()["probability"] == pytest.approx(ours["probability"], abs=1e-6)
        saliency = client.post("/v1/saliency", files={"file": film.read_bytes()})
        assert saliency.headers["content-type"] == "image/png"


def test_a_release_is_asked_for(environment: dict[str, str]) -> None:
    nowhere = environment | {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    found = _pneumo(nowhere, "release", "verify", "s3://bucket/pneumo/1")
    assert re.match(r"pneumo: .*http://127\.0\.0\.1:1", found.stderr), found.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("evaluate", "--source", "films", "--out", "out"), "train"),
        (("stage", "validate"), "train"),
        (("predict", "film.png"), "ops"),  # of the registry
    ],
)
def test_what_needs_more_says_so_in_one_sentence(
    arguments: tuple[str, ...], extra: str, environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    found = _pneumo(environment, *arguments, cwd=tmp_path)
    assert found.returncode == 1
    assert re.fullmatch(
        rf"pneumo: .* is not installed.*: pip install 'pneumo\[{extra}\]'\.\n", found.stderr
    ), found.stderr
