"""A model version with its evidence: under the run that trained it, with what serves it."""

import base64
import io
import re
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import requires, version
from pathlib import Path

import mlflow
import numpy as np
from mlflow.models import ModelSignature
from mlflow.models.model import ModelInfo
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType
from PIL import Image

from pneumo_core import params as all_params
from pneumo_core.atomic import JsonDict, write_json
from pneumo_core.models.bundle import Description, OnnxRecord, identity, read_description
from pneumo_core.params import READING_AID
from pneumo_core.promotion import signatures
from pneumo_core.promotion.signatures import PrivateKey
from tasks import paths, signing
from tasks.registry import evidence, sbom, statement
from tasks.registry.model_versions import BUNDLE_TAG, KEY_TAG
from tasks.tracking import connection, descriptions, runs

PYFUNC = Path(__file__).parent / "pyfunc_model.py"
CORE = Path(__file__).parents[2] / "pneumo_core"

SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(AnyType(), "image")]),  # a file in base64, or gray levels [H, W]
    outputs=Schema(
        [
            ColSpec(DataType.double, "probability"),
            ColSpec(DataType.string, "decision"),
            ColSpec(DataType.string, "rejection_reason", required=False),
            ColSpec(DataType.string, "operating_point"),
            ColSpec(DataType.double, "threshold"),
            ColSpec(DataType.string, "model", required=False),
            ColSpec(DataType.string, "version", required=False),
        ]
    ),
    params=ParamSchema([ParamSpec("operating_point", DataType.string, READING_AID)]),
)


def register(
    name: str, cell: str, tags: dict[str, str], decisions: Mapping[str, JsonDict]
) -> tuple[str, str]:
    """The version of the model that holds a cell's bundle, made if there is none, and its run.

    Its tags come into being with the version, so that a kill leaves it whole or not there. Where a
    key signs, a version that it did not sign does not count.
    """
    client = connection.connect()
    same = f"name = '{name}' and tags.{BUNDLE_TAG} = '{tags[BUNDLE_TAG]}'"
    key = signing.private_key()
    if key is not None:
        tags = tags | {KEY_TAG: key.fingerprint}
        same += f" and tags.{KEY_TAG} = '{key.fingerprint}'"
    for known in client.search_model_versions(same):
        return str(known.version), str(known.run_id)
    mlflow.set_experiment(connection.EXPERIMENT)
    description = read_description(paths.EVALUATED / cell / paths.BUNDLE)
    run_id = runs.of_model(client, description, all_params.load().train)
    with mlflow.start_run(run_id=run_id), tempfile.TemporaryDirectory() as scratch:
        folder = gather(cell, Path(scratch), key, decisions)
        model = _log_model(folder, description)
    made = mlflow.register_model(model.model_uri, name, tags=tags)
    with connection.copying("the model's figures"):
        runs.record_model(cell, str(model.model_id), run_id)
        client.update_registered_model(name, descriptions.OF_MODEL)
    return str(made.version), run_id


def gather(
    cell: str, folder: Path, key: PrivateKey | None, decisions: Mapping[str, JsonDict]
) -> Path:
    """Return the folder with the bundle, its pinned sample, its statement and what was installed;
    signed if there is a key."""
    shutil.copytree(paths.EVALUATED / cell / paths.BUNDLE, folder / paths.BUNDLE)
    write_json(folder / paths.SAMPLE, evidence.sample_of(cell))
    write_json(folder / signatures.STATEMENT, statement.of_cell(cell, decisions))
    sbom.write(folder, cell, identity(folder / paths.BUNDLE))
    if key is not None:
        key.sign_folder(folder)
    return folder


def _log_model(folder: Path, description: Description) -> ModelInfo:
    info: ModelInfo = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(PYFUNC),
        artifacts={path.name: str(path) for path in sorted(folder.iterdir())},
        code_paths=[str(CORE)],
        signature=SIGNATURE,
        input_example=_example(description.image_size_px),
        pip_requirements=requirements(description),
    )
    return info


def _example(size_px: int) -> list[dict[str, str]]:
    """Return one row, a gray ramp as a PNG: no patient's film."""
    ramp = np.linspace(0, 255, size_px).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.tile(ramp, (size_px, 1))).save(buffer, "PNG")
    return [{"image": base64.b64encode(buffer.getvalue()).decode()}]


def requirements(description: Description) -> list[str]:
    """Return what reads the model, at the versions installed here: torch if nothing else does."""
    in_torch = not isinstance(description.onnx, OnnxRecord)
    names = [
        re.findall(r"[\w.-]+", need)[0]
        for need in requires("pneumo") or ()
        if "extra ==" not in need or (in_torch and re.search("extra == .train.", need))
    ]
    return [f"{name}=={version(name)}" for name in names]
