"""timm's architectures: which there are, how one is built for a size of films, and whether it can
learn from them.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import timm
import torch
from timm.models import resolve_model_input_args

from pneumo_core.errors import TrainingError, WeightsError
from pneumo_core.labels import LABELS
from pneumo_core.models.strategies import classifiers, trainable_names
from pneumo_core.params import Strategy

HUB = re.compile(r"hf-hub:[\w.-]+/[\w.-]+(@[\w.-]+)?")
NUM_FILMS = 2  # of the trial step
MAX_FAULT = 150  # characters
IDENTIFYING = {"model_name", "pretrained_cfg", "pretrained_model_args"}


@dataclass(frozen=True)
class Architecture:
    """`name` is in timm's registry; `model_args` are the arguments of its constructor."""

    name: str
    model_args: dict[str, Any] = field(default_factory=dict)

    def build(self, num_classes: int | None = None) -> Any:
        """Return the timm model with random weights; None: with the classes of pretrained ones."""
        return timm.create_model(self.name, num_classes=num_classes, **self.model_args)

    def fit(self, model: Any) -> Any:
        """Return a model of another input size with its weights, by timm's rules, in this size.

        Raises:
            RuntimeError: the weights are of one size only.
        """
        if "img_size" not in self.model_args:
            return model
        config = model.pretrained_cfg
        overlay = {"pretrained_cfg": config | {"state_dict": model.state_dict()}}
        fitted = timm.create_model(self.name, pretrained=True, **self.model_args, **overlay)
        fitted.pretrained_cfg = fitted.default_cfg = config
        return fitted


@cache
def resolve(model: str, size_px: int | None) -> Architecture:
    """Return the architecture of a timm name, or of a model of the Hugging Face hub.

    Many transformers fix the size of their input when they are built: these get `img_size`,
    or have the size of their pretrained weights where `size_px` is None.

    Raises:
        WeightsError: timm does not know the model, or the hub does not answer.
    """
    require_known(model)
    try:
        arguments = resolve_model_input_args(model, {"img_size": size_px})
    except Exception as error:  # hub clients raise their own, unrelated kinds
        raise WeightsError(
            f"{model} could not be read from the Hugging Face hub: check the name and the network, "
            f"or name an architecture of timm and set train.weights to a file ({error})."
        ) from error
    model_args = {key: value for key, value in arguments.items() if key not in IDENTIFYING}
    if size_px is not None and "img_size" in model_args:
        model_args["img_size"] = size_px
    return Architecture(arguments["model_name"], model_args)


def require_known(model: str) -> None:
    """Raise WeightsError for a name that is neither timm's nor of the form hf-hub:owner/name."""
    if HUB.fullmatch(model):
        return
    if "/" in model or ":" in model:
        raise WeightsError(
            f"{model!r} is not a name of timm. A model of the Hugging Face hub is written "
            "hf-hub:owner/name."
        )
    if not timm.is_model(model):
        near = difflib.get_close_matches(model, timm.list_models(), n=3)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise WeightsError(f"timm knows no model {model!r}.{meant}")


def require_trainable(
    model: str, size_px: int, strategies: Iterable[Strategy], pretrained: bool
) -> None:
    """Try a step of training without values (on torch's meta device, a fraction of a second).

    Args:
        pretrained: whether the model gets weights, which must fit this side of films too.

    Raises:
        WeightsError: as `resolve`.
        TrainingError: the model does not take films of this side, or a strategy cannot train it.
    """
    fault = _fault(model, size_px, strategies, pretrained)
    if fault is None:
        return
    own_px = _own_size_px(resolve(model, None))
    if own_px != size_px and _fault(model, own_px, strategies, pretrained) is None:
        raise TrainingError(
            f"{model} cannot learn from films of {size_px} px: set validate.image_size_px to "
            f"{own_px}, or choose another model ({fault})."
        )
    raise TrainingError(f"pneumo cannot train {model}: choose another model ({fault}).")


def _own_size_px(architecture: Architecture) -> int:
    with torch.device("meta"):
        return int(architecture.build().pretrained_cfg["input_size"][-1])


def _fault(
    model: str, size_px: int, strategies: Iterable[Strategy], pretrained: bool
) -> str | None:
    """Return what goes wrong in one step, in one line, or None."""
    architecture, expected = resolve(model, size_px), (NUM_FILMS, len(LABELS))
    try:
        with torch.device("meta"):
            untrained = architecture.build(len(LABELS)).train()
            called: list[bool] = []
            classifiers(untrained)[0].register_forward_pre_hook(lambda *_: called.append(True))
            logits_BK = untrained(torch.empty(NUM_FILMS, 3, size_px, size_px))
            if logits_BK.shape != expected:
                return f"its output has the shape {tuple(logits_BK.shape)}"
            if not called:  # its input is what films are compared by
                return "its classifier is not a layer that runs"
            logits_BK.sum().backward()
            for strategy in strategies:
                trainable_names(untrained, strategy)
            if pretrained:
                architecture.fit(resolve(model, None).build())
    except Exception as error:  # every architecture fails in its own way
        return first_fault(error)
    return None


def first_fault(error: Exception) -> str:
    """Return the first fault of an error of torch that lists several, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[:2][-1][:MAX_FAULT]
