"""How gray values become what a network expects."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Normalisation:
    """Of gray values in 0..1, the same for all channels that the model expects."""

    mean: float
    std: float

    @classmethod
    def of_model(cls, model: Any) -> "Normalisation":
        """The weights' own, averaged over the colours that a film does not have."""
        config = model.pretrained_cfg
        return cls(float(np.mean(config["mean"])), float(np.mean(config["std"])))
