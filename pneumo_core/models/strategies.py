"""Which part of a timm model trains, and where the frozen part ends.

Stages are timm's own: the coarse groups of a model's `group_matcher`, as its layer-wise learning
rates use them. So a strategy needs no list of architectures.
"""

import copy
from typing import Any

import torch
from timm.models import group_parameters
from torch import nn

from pneumo_core.errors import TrainingError
from pneumo_core.params import Strategy


def classifiers(model: Any) -> list[nn.Module]:
    """Return the layers that give the logits: one, or several of which the model takes the mean."""

    def single(found: Any) -> list[nn.Module]:
        several = isinstance(found, tuple | nn.ModuleList)
        return [layer for each in found for layer in single(each)] if several else [found]

    return single(model.get_classifier())


def trainable_names(model: Any, strategy: Strategy) -> set[str]:
    """Return the names of the parameters that a strategy trains."""
    names = [name for name, _ in model.named_parameters()]
    if strategy is Strategy.FULL:
        return set(names)
    head = {id(parameter) for layer in classifiers(model) for parameter in layer.parameters()}
    in_head = {name for name, parameter in model.named_parameters() if id(parameter) in head}
    if not in_head:
        raise TrainingError(f"{type(model).__name__} has no classifier to train.")
    if strategy is Strategy.FROZEN:
        return in_head
    try:
        stage_of = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    except (AttributeError, AssertionError) as error:
        raise TrainingError(
            f"timm names no stages of {type(model).__name__}: use frozen or full"
        ) from error
    first_stage = min(stage_of[name] for name in in_head) - 2
    return {name for name in names if stage_of[name] >= first_stage}


def freeze(model: nn.Module, strategy: Strategy) -> None:
    """Let only what the strategy trains have gradients."""
    trained = trainable_names(model, strategy)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)


def set_train_mode(model: nn.Module) -> None:
    """Set what trains to train mode, and frozen layers to eval mode: they keep their statistics."""
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


class _Reached(Exception):  # noqa: N818 (it carries a result, it is no error)
    def __init__(self, features: torch.Tensor) -> None:
        self.features = features


class Trunk(nn.Module):
    """The frozen part: the input of module `cut_name` for an image batch."""

    def __init__(self, model: nn.Module, cut_name: str) -> None:
        super().__init__()
        self.model = model.eval()
        self.cut_name = cut_name
        model.get_submodule(cut_name).register_forward_pre_hook(_leave)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        try:
            self.model(x_BCHW)
        except _Reached as reached:
            return reached.features
        raise TrainingError("The model never reached its cut.")


def _leave(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    raise _Reached(inputs[0])


def cut(model: nn.Module, example: torch.Tensor) -> tuple[Trunk, nn.Module] | None:
    """Return (trunk, tail) with tail(trunk(x)) equal to model(x), or None: there is no cut.

    The tail is a copy whose modules before the cut are identities; parameter names stay, so its
    state loads into the whole model. None for a model that trains from its first layer, or whose
    forward does more before the cut than call modules one after another: found by comparing.
    """
    model.eval()
    first, before = _first_trained(model, example)
    if not before:
        return None
    tail = _without(model, before)
    trunk = Trunk(_without(model, [first, *_outside(model, [first, *before])]), first)
    with torch.no_grad():
        try:
            joined = tail(trunk(example))
        except Exception:  # the tail cannot take these features, and says so in its own way
            return None
        same = torch.allclose(joined, model(example), rtol=1e-4, atol=1e-5)
    return (trunk, tail) if same else None


def cut_twice(
    model: nn.Module, strategy: Strategy, example: torch.Tensor
) -> tuple[Trunk, Trunk] | None:
    """Return the trunk of a strategy that trains more, and what follows it in this model's trunk.

    None where one of the two has no cut.
    """
    trains_more = copy.deepcopy(model)
    freeze(trains_more, strategy)
    parts = cut(trains_more, example)
    if parts is None:
        return None
    shared, rest = parts
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name, parameter in rest.named_parameters():
        parameter.requires_grad_(name in trained)
    with torch.no_grad():
        parts = cut(rest, shared(example))
    return None if parts is None else (shared, parts[0])


def _without(model: nn.Module, names: list[str]) -> nn.Module:
    """Return a copy in which these modules return their input."""
    copied = copy.deepcopy(model)
    for name in names:
        parent, _, child = name.rpartition(".")
        setattr(copied.get_submodule(parent), child, nn.Identity())
    return copied


def _outside(model: nn.Module, names: list[str]) -> list[str]:
    """Return the outermost modules that are not these, do not hold one and are not in one."""

    def holds(outer: str, inner: str) -> bool:
        return not outer or inner == outer or inner.startswith(f"{outer}.")

    others = [
        other
        for other, _ in model.named_modules()
        if not any(holds(other, name) or holds(name, other) for name in names)
    ]
    return [other for other in others if other.rpartition(".")[0] not in others]


def _first_trained(model: nn.Module, example: torch.Tensor) -> tuple[str, list[str]]:
    """Return the first module to run with trained parameters only, and those that ran before."""
    names = {module: name for name, module in model.named_modules()}
    trained = {
        module
        for module in names
        if (own := list(module.parameters())) and all(p.requires_grad for p in own)
    }
    done: list[str] = []
    first: list[str] = []

    def before(module: nn.Module, _: object) -> None:
        if module in trained and not first:
            first.append(names[module])

    def after(module: nn.Module, _: object, __: object) -> None:
        if not first:
            done.append(names[module])

    handles = [module.register_forward_pre_hook(before) for module in names]
    handles += [module.register_forward_hook(after) for module in names]
    with torch.no_grad():
        model(example)
    for handle in handles:
        handle.remove()
    whole = set(done)
    outermost = [n for n in done if not any(n.startswith(f"{other}.") for other in whole)]
    return first[0], outermost
