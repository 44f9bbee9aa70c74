"""The learning rate of each step."""

import math
from typing import Literal


def learning_rate(
    kind: Literal["step", "one_cycle"], peak: float, step: int, num_steps: int, num_epochs: int
) -> float:
    """`step`: the study's StepLR, a tenth every 7 epochs. `one_cycle`: warm-up, then cosine.

    Args:
        step: from the first one of the training, from 0.
        num_steps: of an epoch.
    """
    if kind == "step":
        return peak * 0.1 ** (step // num_steps // 7)
    total = num_epochs * num_steps
    warm_up = max(1, total // 10)
    if step < warm_up:
        return peak * (step + 1) / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up)))
