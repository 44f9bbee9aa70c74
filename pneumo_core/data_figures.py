"""The figures of the data: what the source holds, and what cleaning and augmentation make of it.

Those of the study's chapter 2. The same data give the same bytes.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pneumo_core import manifest
from pneumo_core.charts import CLASS_COLOURS, GRAY, INK, Captioned, svg
from pneumo_core.film_figures import TrainingFilms, gray_values, samples
from pneumo_core.manifest import LABELS, SPLITS

SPLIT_NAMES = dict(zip(SPLITS, ("train", "validation", "test"), strict=True))


def draw_data_figures(counts: pd.DataFrame, train: TrainingFilms, seed: int) -> list[Captioned]:
    """In the order in which they are to be read; `counts` as `report.count_films` gives them."""
    return [
        class_imbalance(counts),
        balance(counts, manifest.count(train.copies, "label")),
        samples(train, seed),
        gray_values(train),
    ]


def class_imbalance(counts: pd.DataFrame) -> Captioned:
    files = counts.set_index(["label", "split"])["files"].unstack()[list(SPLITS)]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(SPLITS))
        for shift, label in zip((-0.2, 0.2), LABELS, strict=True):
            bars = axes.bar(
                places + shift, files.loc[label], 0.38, color=CLASS_COLOURS[label], label=label
            )
            axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=9)
        axes.set_xticks(places, [f"{SPLIT_NAMES[s]}\n{_ratio(*files[s])}" for s in SPLITS])
        _only_baseline(axes)
        figure.legend(loc="outside upper left", ncols=2)

    usual = str(files["train"].idxmax())
    share = files["train"].max() / files["train"].sum()
    return Captioned(
        "class_imbalance",
        svg(draw, (4.6, 3.4), "Files of the source by split and class"),
        f"The source: {share:.0%} of its training files are {usual}, so that a model could be "
        "right that often without looking at one.",
    )


def _ratio(num_well: int, num_ill: int) -> str:
    return f"1 : {num_ill / num_well:.2f}" if num_well and num_ill else ""


def balance(counts: pd.DataFrame, num_copies: dict[str, int]) -> Captioned:
    by_split = counts.set_index(["split", "label"])
    bars: list[tuple[str, list[int]]] = []
    for split in SPLITS:
        for column, name in (("files", "source"), ("used", "in use")):
            bars.append((f"{SPLIT_NAMES[split]}, {name}", list(by_split.loc[split, column])))
        if split == "train":
            bars.append(("train, augmented", [num_copies[label] for label in LABELS]))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = [0.0, 1, 2, 3.4, 4.4, 5.8, 6.8]
        for place, (_, (num_well, num_ill)) in zip(places, bars, strict=True):
            total = num_well + num_ill
            if not total:
                axes.text(0.5, place, "no files", ha="center", va="center", color=GRAY, fontsize=9)
                continue
            start = 0.0
            for label, num in zip(LABELS, (num_well, num_ill), strict=True):
                axes.barh(place, num / total, 0.8, left=start, color=CLASS_COLOURS[label])
                start += num / total
            write: dict[str, Any] = {
                "va": "center",
                "color": "white",
                "fontsize": 9,
                "fontweight": "bold",
            }
            axes.text(0.015, place, f"{num_well:,}", ha="left", **write)
            axes.text(0.985, place, f"{num_ill:,}", ha="right", **write)
        axes.axvline(0.5, color=INK, linewidth=1, linestyle=":")
        axes.set_yticks(places, [name for name, _ in bars])
        axes.set(xlim=(0, 1), ylim=(7.4, -0.6))
        axes.set_xticks((0, 0.5, 1), ("0%", "50%", "100%"))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        patches = [Patch(color=colour, label=label) for label, colour in CLASS_COLOURS.items()]
        figure.legend(handles=patches, loc="outside upper left", ncols=2)

    return Captioned(
        "balance_before_and_after",
        svg(draw, (5.2, 3.4), "Shares of the classes in each split, before and after"),
        "Before and after: augmentation makes train even and whole patients of train make "
        "validation even, while test keeps the proportions of its source.",
    )


def _only_baseline(axes: Axes) -> None:
    axes.tick_params(left=False, labelleft=False, bottom=False)
    axes.spines["left"].set_visible(False)
