"""What augmentation does to films, as JPEG: before and after, by strength, and in gray values."""

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumo_core.arrays import Gray, Images
from pneumo_core.charts import BLUE, ORANGE, PALE, STYLE
from pneumo_core.data.transforms import Ranges, transform
from pneumo_core.labels import LABELS
from pneumo_core.params import AugmentParams, RecipeName
from pneumo_core.preparation.augmentation import AugmentedFilm, make_film

DPI = 120
NUM_AUGMENTED = 5
COLOURS = dict(zip(LABELS, (BLUE, ORANGE), strict=True))
STRENGTHS = {  # the study's three panels; a range wider than any recipe's shows where it ends
    "brightness": (-0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2),
    "contrast": (0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5),
    "rotation_deg": (-15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0),
}


def recipe_sheet(recipe: RecipeName, films: Mapping[str, Gray], seed: int) -> bytes:
    """A film of each class, and augmented films of it as the augment stage would make them."""
    params = AugmentParams(seed=seed, recipe=recipe, size_per_class=1)
    rows = {}
    for label, film in films.items():
        augmented = [
            AugmentedFilm(label, f"sheet {label}", 0, number)
            for number in range(1, NUM_AUGMENTED + 1)
        ]
        rows[label] = [film, *(make_film(film[None], each, params) for each in augmented)]
    return _grid(rows, ["before", *(f"augmented {n}" for n in range(1, NUM_AUGMENTED + 1))])


def strength_panel(parameter: str, films: Mapping[str, Gray]) -> bytes:
    """A film of each class over the strengths of one parameter of `Ranges`."""
    strengths = STRENGTHS[parameter]
    ranges = [Ranges(**{parameter: (strength, strength)}) for strength in strengths]
    rng = np.random.default_rng(0)  # nothing is left to chance: the ranges are points
    rows = {label: [transform(film, r, rng) for r in ranges] for label, film in films.items()}
    return _grid(rows, [f"{strength:g}" for strength in strengths])


def histograms(before: Mapping[str, Images], after: Mapping[str, Images]) -> bytes:
    """Share of the gray values by class: an area before, a line after, and the means."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 2.3), layout="constrained")
        grid = figure.subplots(1, len(before), sharey=True)
        for axes, label in zip(grid, before, strict=True):
            _histogram(axes, label, before[label], after[label])
        grid[0].set_ylabel("% of pixels")
        return _jpeg(figure)


def _histogram(axes: Axes, label: str, before: Images, after: Images) -> None:
    centres = np.arange(2, 256, 4)
    shares = [
        np.bincount(films.ravel() // 4, minlength=64) / films.size for films in (before, after)
    ]
    axes.fill_between(centres, 100 * shares[0], color=PALE, step="mid", label="before")
    axes.step(centres, 100 * shares[1], color=COLOURS[label], where="mid", label="after")
    axes.set_title(f"{label}: mean {before.mean():.0f} before, {after.mean():.0f} after")
    axes.set(xlabel="gray value", xlim=(0, 255), ylim=(0, 6))  # one scale for all; black is cut
    axes.legend(loc="upper right")


def _grid(rows: Mapping[str, Sequence[Gray]], titles: Sequence[str]) -> bytes:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.4 * len(titles), 1.4 * len(rows) + 0.3), layout="constrained")
        grid = figure.subplots(len(rows), len(titles), squeeze=False)
        for line, (label, films) in zip(grid, rows.items(), strict=True):
            for axes, film in zip(line, films, strict=True):
                axes.imshow(film, cmap="gray", vmin=0, vmax=255)
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
            line[0].set_ylabel(label)
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title)
        return _jpeg(figure)


def _jpeg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", dpi=DPI, pil_kwargs={"quality": 88})
    return buffer.getvalue()
