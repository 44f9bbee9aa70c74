"""Where on a film a network finds what speaks for a class: HiResCAM.

Gradient times activation of the last feature map, element by element, summed over its channels,
without its negative parts (Draelos & Carin 2020, arXiv:2011.08891). Where average pooling and one
linear layer follow the map, its sum before that cut is the score but for the bias, so it shows what
the model used. Explained are the log odds of the class, of which its probability is made.

Shape letters: B batch, C channels, H height, W width.
"""

import torch
from torch import nn
from torch.nn import functional

from pneumo_core.errors import EvaluationError
from pneumo_core.models.compute import full_float32


def saliency(model: nn.Module, x_BCHW: torch.Tensor, positive: int) -> torch.Tensor:
    """What speaks for class `positive` at each place of a film, [B, H, W], never below zero.

    In log odds a cell of the feature map, so that films can be compared: all zeros where nothing
    speaks for the class. Sets the model to eval mode and moves it to the films' device.

    Raises:
        EvaluationError: the model has no spatial feature map; see `last_spatial_layer`.
    """
    map_B1HW = contributions(model, x_BCHW, positive).unsqueeze(1).relu()
    map_BHW: torch.Tensor = functional.interpolate(
        map_B1HW, x_BCHW.shape[2:], mode="bilinear"
    ).squeeze(1)
    return map_BHW


@full_float32()
def contributions(model: nn.Module, x_BCHW: torch.Tensor, positive: int) -> torch.Tensor:
    """What speaks for class `positive` and, below zero, against it, [B, H, W] of the feature map.

    Raises as `saliency` does.
    """
    model.to(x_BCHW.device).eval()
    layer = last_spatial_layer(model, x_BCHW[:1])

    cut_BCHW: list[torch.Tensor] = []

    def cut(_: object, __: object, output_BCHW: torch.Tensor) -> torch.Tensor:
        cut_BCHW.append(output_BCHW.detach().requires_grad_())
        return cut_BCHW[-1].clone()  # a ReLU in place may follow

    with torch.enable_grad(), layer.register_forward_hook(cut):
        logits_BK: torch.Tensor = model(x_BCHW)
    others = [k for k in range(logits_BK.shape[1]) if k != positive]
    log_odds_B = logits_BK[:, positive] - logits_BK[:, others].logsumexp(1)
    map_BCHW = cut_BCHW[-1]
    (gradient_BCHW,) = torch.autograd.grad(log_odds_B.sum(), map_BCHW)
    return (gradient_BCHW * map_BCHW.detach()).sum(1)


def last_spatial_layer(model: nn.Module, x_BCHW: torch.Tensor) -> nn.Module:
    """The last module to finish with a square map [B, C, H, W] for square films.

    A map that is later taken apart into tokens [B, N, C], as a transformer does, does not count.

    Raises:
        EvaluationError: there is no such module.
    """
    finished: list[nn.Module] = []

    def look(module: nn.Module, _: object, output: object) -> None:
        if not isinstance(output, torch.Tensor):
            return
        if output.ndim == 4 and output.shape[2] == output.shape[3] > 1:
            finished.append(module)
        elif output.ndim == 3:
            finished.clear()

    handles = [module.register_forward_hook(look) for module in model.modules()]
    try:
        with torch.no_grad():
            model(x_BCHW)
    finally:
        for handle in handles:
            handle.remove()
    if not finished:
        raise EvaluationError(
            f"{type(model).__name__} ends in no map of the film, so that nothing can be laid over "
            "it: saliency needs a convolutional network."
        )
    return finished[-1]
