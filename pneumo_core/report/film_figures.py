"""Samples and gray values of the training films, before and after augmentation.

`measure` reads the films once; the charts are drawn in each language.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from pneumo_core.arrays import Gray, Stack
from pneumo_core.charts import CLASS_COLOURS, Captioned, svg
from pneumo_core.data.images import resize
from pneumo_core.labels import LABELS
from pneumo_core.report.words import Words

NUM_SAMPLES_PER_CLASS = 6
SAMPLE_SIDE_PX = 144
BLOCK_ROWS = 256
NUM_LEVELS, LEVELS_PER_STEP = 256, 4

Rows = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]  # of pixels by gray value, [256]


@dataclass(frozen=True)
class TrainingFilms:
    """The films of train, and the augmented films made from them."""

    films: pd.DataFrame  # the manifest's kept rows of train
    images: Stack  # row `packed_row` of `films`
    augmented: pd.DataFrame  # `image_id`, `label`, `number`
    augmented_images: Stack  # in the order of `augmented`


@dataclass(frozen=True)
class Measured:
    """Samples, and counts of pixels by gray value, before and after augmentation."""

    samples: dict[str, tuple[list[Gray], list[Gray]]]  # by label: films, and one augmented of each
    before: dict[str, Counts]  # by label
    after: dict[str, Counts]


def measure(train: TrainingFilms, seed: int) -> Measured:
    films = {label: rows["packed_row"] for label, rows in train.films.groupby("label")}
    augmented = {label: np.flatnonzero(train.augmented["label"] == label) for label in LABELS}
    return Measured(
        {label: _sample(train, label, seed) for label in LABELS},
        {
            label: _histogram(train.images, np.sort(films[label].to_numpy(np.int64)))
            for label in LABELS
        },
        {label: _histogram(train.augmented_images, augmented[label]) for label in LABELS},
    )


def _sample(train: TrainingFilms, label: str, seed: int) -> tuple[list[Gray], list[Gray]]:
    """Return a few films of a class drawn at random, and the last augmented film of each."""
    last = train.augmented.reset_index(drop=True).drop_duplicates("image_id", keep="last")
    row_of = pd.Series(last.index, last["image_id"])
    films = train.films[train.films["label"] == label]
    films = films[films["image_id"].isin(row_of.index)]
    drawn = films.sample(min(NUM_SAMPLES_PER_CLASS, len(films)), random_state=seed)
    return (
        [_small(train.images[row]) for row in drawn["packed_row"]],
        [_small(train.augmented_images[row]) for row in row_of[drawn["image_id"]]],
    )


def samples(measured: Measured, words: Words) -> Captioned:
    rows: list[tuple[str, list[Gray]]] = []
    for label, (films, augmented) in measured.samples.items():
        rows += [(words(f"label.{label}"), films), (words("chart.augmented"), augmented)]

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(rows), NUM_SAMPLES_PER_CLASS, squeeze=False)
        for (name, films), line in zip(rows, grid, strict=True):
            for axes in line:
                axes.set_axis_off()
            for film, axes in zip(films, line, strict=False):
                axes.imshow(film, cmap="gray", vmin=0, vmax=255, interpolation="none")
            line[0].text(
                -0.06,
                0.5,
                name,
                rotation=90,
                ha="right",
                va="center",
                fontsize=9,
                transform=line[0].transAxes,
            )

    title = words("chart.samples")
    return Captioned("samples_per_class", svg(draw, (7.6, 5.1), title), words("caption.samples"))


def _small(pixels: Gray) -> Gray:
    return resize(np.asarray(pixels), min(SAMPLE_SIDE_PX, len(pixels)))


def gray_values(measured: Measured, words: Words) -> Captioned:
    panels = {"before": measured.before, "after": measured.after}
    shares = {
        name: {label: _shares(counts) for label, counts in panel.items()}
        for name, panel in panels.items()
    }
    # Padding and burnt-in white would dwarf everything else.
    inner = max(share[1:-1].max() for panel in shares.values() for share in panel.values())

    def draw(figure: Figure) -> None:
        edges = np.arange(0, NUM_LEVELS + 1, LEVELS_PER_STEP)
        for axes, (name, panel) in zip(
            figure.subplots(1, 2, sharey=True), shares.items(), strict=True
        ):
            for label in LABELS:
                pen: dict[str, Any] = {"color": CLASS_COLOURS[label]}
                pen["label"] = words(f"label.{label}")
                axes.stairs(panel[label], edges, baseline=None, linewidth=1.6, **pen)
                mean = _mean(panels[name][label])
                axes.axvline(mean, linestyle="--", linewidth=1, color=CLASS_COLOURS[label])
            axes.set(title=words(f"chart.{name}"), xlim=(0, NUM_LEVELS), ylim=(0, inner * 1.1))
            axes.set_xlabel(words("chart.gray_value"))
            black = [f"{words(f'label.{label}')} {panel[label][0]:.1f}%" for label in LABELS]
            text = "\n".join([words("chart.nearly_black", limit=LEVELS_PER_STEP), *black])
            axes.text(12, inner * 1.06, text, va="top", fontsize=8)
            axes.set_xticks((0, 64, 128, 192, 255))
        figure.axes[0].set_ylabel(words("chart.share_of_pixels", step=LEVELS_PER_STEP))
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2
        )

    def means(panel: dict[str, Counts]) -> str:
        return ", ".join(f"{words(f'label.{label}')} {_mean(panel[label]):.0f}" for label in LABELS)

    return Captioned(
        "gray_values_per_class",
        svg(draw, (7.6, 3.3), words("chart.gray_values")),
        words("caption.gray_values", **{name: means(panel) for name, panel in panels.items()}),
    )


def _histogram(images: Stack, rows: Rows) -> Counts:
    total = np.zeros(NUM_LEVELS, np.int64)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = images[rows[start : start + BLOCK_ROWS]]
        total += Image.fromarray(block.reshape(-1, block.shape[-1])).histogram()
    return total


def _shares(counts: Counts) -> npt.NDArray[np.float64]:
    steps = counts.reshape(-1, LEVELS_PER_STEP).sum(1)
    shares: npt.NDArray[np.float64] = 100 * steps / steps.sum()
    return shares


def _mean(counts: Counts) -> float:
    return float(counts @ np.arange(NUM_LEVELS) / counts.sum())
