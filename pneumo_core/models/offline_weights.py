"""A folder of pretrained weights for machines without a network: what it holds, and since when.

`weights.json` states each file with its checksum and its origin; what is not in it is not used.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load

from pneumo_core.atomic import file_sha256
from pneumo_core.errors import WeightsError
from pneumo_core.params import Section

INDEX = "weights.json"


class Entry(Section):
    """One model, with its pretrained classifier."""

    file: str = Field(pattern=r"^[\w.-]+\.safetensors$")  # in the folder itself
    file_sha256: str
    state_sha256: str  # as in a bundle's provenance
    origin: str
    revision: str | None  # commit of the hub's repository, or version of the package
    timm_version: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input_size: tuple[int, int, int]
    licence: str | None  # as timm states it


class Index(Section):
    format_version: Literal[1] = 1
    models: dict[str, Entry]  # by timm name


def read_index(folder: Path) -> Index:
    """Return the index; raise WeightsError where it is missing or has another format."""
    try:
        return Index.model_validate(json.loads((folder / INDEX).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise WeightsError(
            f"{folder} has no {INDEX}: expected a folder that 'pneumo weights fetch' wrote."
        ) from error
    except (ValueError, ValidationError) as error:  # ValueError: neither UTF-8 nor JSON
        raise WeightsError(f"{folder / INDEX} cannot be read: {error}") from error


def load_state(folder: Path, architecture: str) -> tuple[dict[str, torch.Tensor], Entry]:
    """Return the tensors of a model; raise WeightsError unless they are there as fetched."""
    models = read_index(folder).models
    if architecture not in models:
        raise WeightsError(
            f"{folder} holds no {architecture}; it holds {', '.join(sorted(models)) or 'none'}. "
            f"Add it where there is a network: pneumo weights fetch {architecture}"
        )
    entry = models[architecture]
    try:
        content = (folder / entry.file).read_bytes()
    except OSError as error:
        raise WeightsError(f"{folder / entry.file} cannot be read: fetch it again.") from error
    if hashlib.sha256(content).hexdigest() != entry.file_sha256:
        raise WeightsError(
            f"{folder / entry.file} was altered: its SHA-256 is not that in {INDEX}. "
            "Fetch it again."
        )
    try:
        return load(content), entry
    except SafetensorError as error:
        raise WeightsError(f"{folder / entry.file} is no safetensors file: {error}") from error


def find_faults(folder: Path) -> list[str]:
    """Return the files that are missing, altered or not in the index."""
    expected = {entry.file: entry.file_sha256 for entry in read_index(folder).models.values()}
    there = {path.name for path in folder.iterdir()} - {INDEX}
    faults = [f"missing: {name}" for name in expected.keys() - there]
    faults += [f"extra: {name}" for name in there - expected.keys()]
    for name in expected.keys() & there:
        path = folder / name
        if not path.is_file() or file_sha256(path) != expected[name]:
            faults.append(f"altered: {name}")
    return sorted(faults)
