"""Slightly different views of a film that is read, whose mean logit counts.

Closer, further and turned as far as a patient may stand. The finding is in all of them, and what a
model owes to one framing is not. The first view is the film itself.
"""

from dataclasses import dataclass

import numpy as np

from pneumo_core.arrays import Images
from pneumo_core.data.transforms import Ranges, transform


@dataclass(frozen=True)
class View:
    scale: float = 1.0
    rotation_deg: float = 0.0

    def of(self, films: Images) -> Images:
        """Films [N, H, W], the same ones where nothing is altered."""
        if self == View():
            return films
        turn = self.rotation_deg
        ranges = Ranges(scale=(self.scale, self.scale), rotation_deg=(turn, turn))
        nothing_drawn = np.random.default_rng(0)
        return np.stack([transform(film, ranges, nothing_drawn) for film in films])


# So many of them as are asked for, from the first; in the order in which they helped validation.
VIEWS = (View(), View(scale=0.92), View(rotation_deg=-5), View(rotation_deg=5), View(scale=1.08))
