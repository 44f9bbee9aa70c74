"""HiResCAM: where on a film a network of torch has its evidence for a class.

The evidence is the gradient times the activation of the last feature map, element by element,
summed over the channels (Draelos & Carin 2020, arXiv:2011.08891). Where average pooling and one
linear layer follow the feature map, its sum is the score without its bias, so it shows what the
model used. The score is the log odds of the class.

Shape letters: B batch, C channels, H height, W width.
"""

import torch
from torch import nn

from pneumo_core.errors import EvaluationError
from pneumo_core.models.compute import full_float32


@full_float32()
def contributions(model: nn.Module, x_BCHW: torch.Tensor, positive: int) -> torch.Tensor:
    """Return the evidence for class `positive` or, below 0, against it: [B, H, W], feature map.

    The unit is log odds per cell of the feature map, so films can be compared. Sets the model to
    eval mode and moves it to the films' device.

    Raises:
        EvaluationError: the model has no spatial feature map; see `last_spatial_layer`.
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
    """Return the last module whose output is a square map [B, C, H, W], for square films.

    A map that is later split into tokens [B, N, C], as in a transformer, does not count.

    Raises:
        EvaluationError: there is no such module.
    """
    finished: list[nn.Module] = []

    def collect(module: nn.Module, _: object, output: object) -> None:
        if not isinstance(output, torch.Tensor):
            return
        if output.ndim == 4 and output.shape[2] == output.shape[3] > 1:
            finished.append(module)
        elif output.ndim == 3:
            finished.clear()

    handles = [module.register_forward_hook(collect) for module in model.modules()]
    try:
        with torch.no_grad():
            model(x_BCHW)
    finally:
        for handle in handles:
            handle.remove()
    if not finished:
        raise EvaluationError(
            f"{type(model).__name__} does not end in a map of the film. Saliency needs a "
            "convolutional network."
        )
    return finished[-1]
