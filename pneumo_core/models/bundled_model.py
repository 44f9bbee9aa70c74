"""Write the weights of a model, and build the model from them again."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pneumo_core.errors import BundleError
from pneumo_core.models import bundle
from pneumo_core.models.bundle import Blueprint, Description
from pneumo_core.models.weights import create_model


def load(folder: Path) -> tuple[nn.Module, Description]:
    """
    Raises:
        BundleError: a file is missing, does not match its checksum, or is of another version.
    """
    description = bundle.read_description(folder)
    return build(description, folder / bundle.WEIGHTS), description


def build(blueprint: Blueprint, weights: Path) -> nn.Module:
    """Return the model; raise BundleError where the weights do not fit the architecture."""
    model, _ = create_model(blueprint.architecture, "none", len(blueprint.labels))
    try:
        model.load_state_dict(load_file(weights), strict=True)
    except (RuntimeError, SafetensorError) as error:
        raise BundleError(f"{weights} does not fit {blueprint.architecture}: {error}") from error
    loaded: nn.Module = model
    return loaded


def write_weights(model: nn.Module, path: Path) -> None:
    """Write a safetensors file; raise OSError where there is no room."""
    try:
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
