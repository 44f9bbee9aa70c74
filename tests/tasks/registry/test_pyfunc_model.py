"""`mlflow models serve -m models:/pneumo@champion`, asked over HTTP as anybody would."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pneumo_core.data import manifest
from pneumo_core.models import bundle
from tasks import paths
from tasks.graph.dvc_stage import environment
from tasks.registry import model_versions
from tasks.tracking import connection

CELL = "test_efficientnet-full"
PATIENCE_S = 500  # met in 15 on a free machine


@pytest.fixture
def film(promote_cell: Callable[..., str]) -> pd.Series:
    """One of test with its path and what the champion said of it."""
    assert promote_cell(CELL) == "1"
    predictions = pd.read_csv(paths.EVALUATED / CELL / "test" / "predictions.csv")
    table = manifest.read(paths.SPLIT)[["image_id", "path"]]
    return predictions.merge(table, on="image_id").iloc[3]


def threshold() -> float:
    description = bundle.read_description(paths.EVALUATED / CELL / paths.BUNDLE)
    return description.operating_points["reading_aid"].threshold


def answer_for(film: pd.Series) -> dict[str, Any]:
    decision = "PNEUMONIA" if film["probability"] >= threshold() else "NORMAL"
    return {
        "probability": pytest.approx(film["probability"], abs=1e-6),
        "decision": decision,
        "rejection_reason": None,
        "operating_point": "reading_aid",
        "threshold": threshold(),
        "model": "pneumo",
        "version": "1",
    }


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


@pytest.fixture
def served(
    film: pd.Series,  # noqa: ARG001 (its champion is there)
) -> Iterator[Callable[[Any], tuple[int, Any]]]:
    """Posts a request; gives the status and the answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    model = ["-m", "models:/pneumo@champion", "--env-manager", "local"]
    with Path("serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *model, "-p", str(port)],
            env=environment() | {"MLFLOW_TRACKING_URI": connection.uri()},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"

    def post(content: Any) -> tuple[int, Any]:
        body, kind = json.dumps(content).encode(), {"Content-Type": "application/json"}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"{url}/invocations", body, kind)
            ) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    try:
        deadline = time.monotonic() + PATIENCE_S
        while not answers(f"{url}/ping"):
            assert process.poll() is None, Path("serve.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield post
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def test_film_as_file_and_as_gray_levels(
    served: Callable[[Any], tuple[int, Any]], film: pd.Series
) -> None:
    path = paths.RAW / film["path"]
    file, levels = encoded(path), np.asarray(Image.open(path).convert("L")).tolist()
    answer = answer_for(film)
    for content in (
        {"inputs": [{"image": file}]},
        {"instances": [{"image": file}]},
        {"dataframe_records": [{"image": file}]},
        {"dataframe_split": {"columns": ["image"], "data": [[file]]}},
    ):
        assert served(content) == (200, {"predictions": [answer]})
    # Gray levels are squashed from their full size, a JPEG from libjpeg's half.
    near = answer | {"probability": pytest.approx(film["probability"], abs=0.02)}
    for content in (
        {"inputs": [{"image": levels}]},
        {"dataframe_records": [{"image": levels}]},
        {"inputs": [levels]},
    ):
        assert served(content) == (200, {"predictions": [near]})
    assert served({"dataframe_records": [{"image": file}, {"image": levels}]}) == (
        200,
        {"predictions": [answer, near]},
    )
    assert served({"inputs": {"image": [file, file]}}) == (200, {"predictions": [answer] * 2})

    named = {"inputs": [{"image": file}], "params": {"operating_point": "reading_aid"}}
    assert served(named) == (200, {"predictions": [answer]})
    for content, message in (
        ({"inputs": [{"image": "no base64!"}]}, "No film"),
        ({"inputs": [{"image": encoded(Path("params.yaml"))}]}, "No film"),
        ({"inputs": [{"image": [[300, 0], [0, 0]]}]}, "gray levels"),
        ({"inputs": [{"image": [1, 2]}]}, "gray levels"),
        ({"inputs": [{"film": file}]}, "image"),
        (named | {"params": {"operating_point": "lucky"}}, "No operating point 'lucky'"),
    ):
        status, output = served(content)
        assert status == 400
        assert message in output


@pytest.mark.usefixtures("film")
def test_model_in_the_registry_is_described_and_holds_no_pickle() -> None:
    import mlflow

    version = model_versions.find_champion("pneumo", "champion")
    assert version is not None
    info = mlflow.models.get_model_info("models:/pneumo@champion")
    assert info.signature is not None
    assert info.signature.inputs.input_names() == ["image"]
    assert [param.name for param in info.signature.params.params] == ["operating_point"]
    run = mlflow.get_run(version.run_id)
    assert run.info.run_name == CELL
    assert "mlflow.parentRunId" in run.data.tags
    folder = Path(mlflow.artifacts.download_artifacts("models:/pneumo@champion"))
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt", ".pth"))]
    assert {"weights.safetensors", "input_example.json", "pyfunc_model.py"} <= names
    pinned = (folder / "requirements.txt").read_text().splitlines()
    assert [line for line in pinned if line.startswith("onnxruntime==")]
    model = mlflow.pyfunc.load_model("models:/pneumo@champion")
    (answer,) = model.predict(model.input_example).to_dict("records")
    assert (answer["model"], answer["version"]) == ("pneumo", "1")
    films = np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    assert len(model.predict(pd.DataFrame({"image": list(films)}))) == 5
