"""The MLflow registry: versions with their evidence, and who is champion."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from pneumo_core.bundle import Description, read_description
from pneumo_core.errors import PromotionError
from tasks import places, tracking

BUNDLE_TAG = "bundle_sha256"
PYFUNC = Path(__file__).parent / "pyfunc_model.py"
CORE = Path(__file__).parent.parent / "pneumo_core"


def find_champion(name: str, alias: str) -> Any | None:
    """The model version behind an alias, or None where nobody bears it.

    Raises:
        PromotionError: the registry cannot be read, which is not the same as being empty.
    """
    try:
        return tracking.connect().get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise PromotionError(f"The registry cannot be read: {error}") from error


def champion_bundle(name: str, alias: str) -> tuple[Path, str]:
    """The bundle behind an alias, and its version.

    Raises:
        PromotionError: nobody bears the alias.
    """
    version = find_champion(name, alias)
    if version is None:
        raise PromotionError(
            f"No model {name}@{alias} in the registry: run the pipeline first, or give --bundle."
        )
    return download_bundle(name, str(version.version)), str(version.version)


def download_bundle(name: str, version: str) -> Path:
    """A copy of a version's bundle on this machine, fetched once: versions never change."""
    folder = places.SCRATCH / "registry" / f"{name}-{version}"
    if not folder.is_dir():
        tracking.connect()
        draft = folder.with_suffix(".part")
        mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(draft))
        draft.replace(folder)
    return folder / "artifacts" / places.BUNDLE


def register(name: str, bundle: Path, evaluation: Path, tags: dict[str, str]) -> str:
    """The version of the model that holds this bundle, made if there is none; its number."""
    client = tracking.connect()
    mlflow.set_experiment(tracking.EXPERIMENT)
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get(BUNDLE_TAG) == tags[BUNDLE_TAG]:
            return str(version.version)
    description = read_description(bundle)
    with mlflow.start_run(run_name=f"register {description.name}", tags=tags):
        _log_evaluation(evaluation)
        version = _log_model(name, bundle, description)
    for key, value in tags.items():
        client.set_model_version_tag(name, version, key, value)
    return version


def _log_evaluation(evaluation: Path) -> None:
    for split in ("val", "test"):
        metrics = json.loads((evaluation / split / "metrics.json").read_text())
        figures = {
            name: f["value"] for name, f in metrics.items() if isinstance(f, dict) and "value" in f
        }
        mlflow.log_metrics({f"{split}_{name}": value for name, value in figures.items()})
        mlflow.log_artifacts(str(evaluation / split), artifact_path=f"evaluation/{split}")


def _log_model(name: str, bundle: Path, description: Description) -> str:
    size = description.image_size_px
    films = np.zeros((2, size, size), np.uint8)  # two: one would freeze the batch size
    info = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(PYFUNC),
        artifacts={places.BUNDLE: str(bundle)},
        code_paths=[str(CORE)],
        signature=infer_signature(films, np.zeros(2)),
        input_example=films,
        pip_requirements=["torch", "torchvision", "timm", "safetensors"],
        registered_model_name=name,
    )
    return str(info.registered_model_version)


def set_alias(name: str, alias: str, version: str) -> None:
    tracking.connect().set_registered_model_alias(name, alias, version)
