"""Write the weights of a model, and build the model from them again."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pneumo_core.errors import BundleError
from pneumo_core.models import bundle
from pneumo_core.models.architectures import Architecture
from pneumo_core.models.bundle import Blueprint, Description
from pneumo_core.models.committee import Committee


def load(folder: Path) -> tuple[nn.Module, Description]:
    """Return the model of a bundle and its description.

    Raises:
        BundleError: a file is missing, does not match its checksum, or is of another version.
    """
    description = bundle.read_description(folder)
    return build(description, folder / bundle.WEIGHTS), description


def build(blueprint: Blueprint, weights: Path) -> nn.Module:
    """Return the model; raise BundleError where the weights do not fit the architecture."""
    try:
        model = untrained(blueprint)
        model.load_state_dict(load_file(weights), strict=True)
    except (RuntimeError, TypeError, SafetensorError) as error:  # TypeError: arguments of timm
        raise BundleError(f"{weights} does not fit {blueprint.architecture}: {error}") from error
    return model


def untrained(blueprint: Blueprint) -> nn.Module:
    """Return the model with random weights."""
    if blueprint.members:
        members = [untrained(member) for member in blueprint.members]
        return Committee(members, [member.normalisation for member in blueprint.members])
    architecture = Architecture(blueprint.architecture, blueprint.model_args)
    model: nn.Module = architecture.build(len(blueprint.labels))
    return model


def write_weights(model: nn.Module, path: Path) -> None:
    """Write a safetensors file; raise OSError where there is no room."""
    state = {  # clones: a model may hold a tensor under two names
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    try:
        save_file(state, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
