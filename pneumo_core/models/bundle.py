"""A model as a folder that can be checked, moved and served: no pickle, nothing implied.

`weights.safetensors`, `model.onnx` (the same model for other programs, where it can be exported),
`bundle.json` (what is needed to use the weights, and where they came from), `reference.safetensors`
(what a later film is compared with) and `checksums.json` (SHA-256 of the others).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from pneumo_core.atomic import file_sha256, replacing_folder, write_json
from pneumo_core.data.images import RESIZE_RULE
from pneumo_core.data.views import VIEWS, View
from pneumo_core.errors import BundleError
from pneumo_core.labels import LABELS
from pneumo_core.params import Section, faults

FORMAT_VERSION = 4
WEIGHTS, DESCRIPTION, CHECKSUMS = "weights.safetensors", "bundle.json", "checksums.json"
REFERENCE, ONNX = "reference.safetensors", "model.onnx"
CHECKED = (DESCRIPTION, REFERENCE, WEIGHTS)


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of gray values in 0..1, the same for all input channels."""

    mean: float
    std: float

    @classmethod
    def of_model(cls, model: Any) -> "Normalisation":
        """Return that of the pretrained weights, averaged over the three colours."""
        config = model.pretrained_cfg
        return cls(float(np.mean(config["mean"])), float(np.mean(config["std"])))


@dataclass(frozen=True)
class OperatingPoint:
    """A probability at or above `threshold` reads as PNEUMONIA; with its 95 % interval."""

    threshold: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class PretrainedWeights:
    """`source` as asked for, and the SHA-256 of the tensors that were loaded (null: none)."""

    source: str
    origin: str
    sha256: str | None


class TrainingRecord(Section):
    """Data, code and parameters of the training."""

    data_sha256: str  # of the manifest after the split
    train_sha256: str  # of the packed training films
    code_version: str
    params: dict[str, Any]  # of the stage train, as used
    pretrained: PretrainedWeights


class Blueprint(Section):
    """What is known after training."""

    format_version: Literal[4] = 4
    name: str  # of the cell: architecture and strategy
    architecture: str  # in timm's registry
    model_args: dict[str, Any] = Field(default_factory=dict)  # of its constructor, as img_size
    strategy: str
    labels: tuple[str, ...] = LABELS
    image_size_px: int
    resize_rule: str = RESIZE_RULE
    normalisation: Normalisation
    members: tuple["Blueprint", ...] = ()  # of a committee, in the order of its network
    origin: TrainingRecord


class OnnxRecord(Section):
    """How `model.onnx` was made, and how far it is from torch on films of validation."""

    opset: int
    versions: dict[str, str]
    num_films: int
    tolerance: float  # of a logit, and of the largest value of the features; of a map ten times it
    max_difference: dict[str, float]  # by output: of a logit, or a share of its largest value


class Description(Blueprint):
    """What is known after validation: calibration and operating points."""

    # Probability of PNEUMONIA = expit(slope * logit + intercept), where this share of films has it.
    slope: float = Field(gt=0)
    intercept: float
    calibration_prevalence: float | None = None
    views: tuple[View, ...] = VIEWS[:1]  # of a film, whose mean logit counts
    operating_points: dict[str, OperatingPoint]
    onnx: OnnxRecord | str = "none was asked for"  # why there is none


def save(
    folder: Path,
    description: Description,
    weights: Path,
    write_reference: Callable[[Path], None],
    onnx: Path | None = None,
) -> None:
    """Write a bundle around a safetensors file; `folder` appears complete or not at all.

    Args:
        onnx: the file that `description.onnx` describes.
    """
    with replacing_folder(folder) as draft:
        (draft / WEIGHTS).write_bytes(weights.read_bytes())
        if onnx is not None:
            (draft / ONNX).write_bytes(onnx.read_bytes())
        write_reference(draft / REFERENCE)
        write_json(draft / DESCRIPTION, description.model_dump(mode="json"))
        names = CHECKED if onnx is None else (*CHECKED, ONNX)
        write_json(draft / CHECKSUMS, {name: file_sha256(draft / name) for name in names})


def read_description(folder: Path) -> Description:
    """Return the description, after a check of all files."""
    try:
        expected = json.loads((folder / CHECKSUMS).read_text())
        has_onnx = ONNX in expected
        for name in (*CHECKED, ONNX) if has_onnx else CHECKED:
            if file_sha256(folder / name) != expected[name]:
                raise BundleError(f"{folder / name} was altered: its checksum does not match.")
        content = json.loads((folder / DESCRIPTION).read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BundleError(
            f"{folder} is no complete bundle: {error.filename} is missing."
        ) from error
    except (ValueError, KeyError, TypeError) as error:  # ValueError: neither UTF-8 nor JSON
        raise BundleError(f"{folder / CHECKSUMS} cannot be read: {error}") from error
    if content.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"{folder} has bundle format {content.get('format_version')}, this code reads "
            f"{FORMAT_VERSION}: use the pneumo version that wrote it."
        )
    try:
        description = Description.model_validate(content)
    except ValidationError as error:
        raise BundleError(f"{folder / DESCRIPTION}: {faults(error)}.") from error
    if has_onnx != isinstance(description.onnx, OnnxRecord):
        raise BundleError(f"{folder}: {CHECKSUMS} and {DESCRIPTION} differ about {ONNX}.")
    return description


def identity(folder: Path) -> str:
    """Return the SHA-256 that stands for the whole bundle."""
    return file_sha256(folder / CHECKSUMS)
