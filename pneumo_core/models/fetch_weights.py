"""Pretrained weights into a folder that can be carried to a machine without a network."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from safetensors.torch import save_file

from pneumo_core.atomic import file_sha256, replacing_file, write_json
from pneumo_core.errors import WeightsError
from pneumo_core.models.architectures import HUB
from pneumo_core.models.offline_weights import INDEX, Entry, Index, read_index
from pneumo_core.models.weights import PACKAGED, load_pretrained, state_sha256

HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # in the order in which timm looks


def fetch(architecture: str, folder: Path) -> Entry:
    """Add a model to the folder, or replace it there.

    Raises:
        WeightsError: its weights are not available, or the folder's index cannot be read; the
            folder stays as it was.
    """
    if HUB.fullmatch(architecture):
        raise WeightsError(
            f"{architecture} cannot be put into a folder of weights: copy the cache of a machine "
            "that has loaded it (HF_HOME), or name one of timm's own models."
        )
    known = read_index(folder).models if (folder / INDEX).exists() else {}
    model, origin = load_pretrained(architecture, "auto")
    state = {
        name: tensor.detach().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    file = f"{architecture}.safetensors"
    with replacing_file(folder / file) as draft:
        save_file(state, draft)
    config = model.pretrained_cfg
    entry = Entry(
        file=file,
        file_sha256=file_sha256(folder / file),
        state_sha256=state_sha256(model),
        origin=origin,
        revision=_revision(architecture, config),
        timm_version=version("timm"),
        mean=config["mean"],
        std=config["std"],
        input_size=config["input_size"],
        licence=config.get("license"),
    )
    index = Index(models=dict(sorted((known | {architecture: entry}).items())))
    write_json(folder / INDEX, index.model_dump(mode="json"))
    return entry


def _revision(architecture: str, config: dict[str, Any]) -> str | None:
    """Return the version of a package, or the hub's commit, which names the folder in its cache."""
    if architecture in PACKAGED:
        return version(PACKAGED[architecture])
    repository, _, asked = (config.get("hf_hub_id") or "").partition("@")
    for name in (config.get("hf_hub_filename"), *HUB_FILES):
        if repository and name:
            path = huggingface_hub.try_to_load_from_cache(repository, name, revision=asked or None)
            if isinstance(path, str):
                return Path(path).parent.name
    return None
