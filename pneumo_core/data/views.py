"""Slightly different views of a film: a model reads all of them, and their mean logit counts.

They are closer, further away and turned, as a patient may stand. The finding is in each of them;
an effect of the framing is not. The first view is the film itself.
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
        """Return this view of films [N, H, W]; the same array if the view alters nothing."""
        if self == View():
            return films
        turn = self.rotation_deg
        ranges = Ranges(scale=(self.scale, self.scale), rotation_deg=(turn, turn))
        nothing_drawn = np.random.default_rng(0)
        return np.stack([transform(film, ranges, nothing_drawn) for film in films])


# A model with n views uses the first n. Those that helped validation most come first.
VIEWS = (View(), View(scale=0.92), View(rotation_deg=-5), View(rotation_deg=5), View(scale=1.08))
