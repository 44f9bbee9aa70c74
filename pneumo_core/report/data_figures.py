"""The charts of the data, as in chapter 2 of the study: the source, and the splits after cleaning.

The same data give the same bytes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pneumo_core.charts import CLASS_COLOURS, GRAY, INK, Captioned, svg
from pneumo_core.labels import LABELS, SPLITS, UNSPLIT
from pneumo_core.report.words import Words


def class_imbalance(counts: pd.DataFrame, words: Words) -> Captioned:
    """Draw the files of the source from the counts of `manifest.count_steps`."""
    files = counts.set_index(["label", "split"])["files"].unstack()
    splits = [*SPLITS] if files[list(SPLITS)].any(axis=None) else [UNSPLIT]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = np.arange(len(splits))
        for shift, label in zip((-0.2, 0.2), LABELS, strict=True):
            pen: dict[str, Any] = {"color": CLASS_COLOURS[label], "label": words(f"label.{label}")}
            bars = axes.bar(places + shift, files.loc[label, splits], 0.38, **pen)
            axes.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=9)
        axes.set_xticks(places, [f"{words(f'split.{s}')}\n{_ratio(*files[s])}" for s in splits])
        _only_baseline(axes)
        figure.legend(loc="outside upper left", ncols=2)

    to_learn = files[splits[0]]
    usual = str(to_learn.idxmax())
    share = to_learn.max() / to_learn.sum()
    return Captioned(
        "class_imbalance",
        svg(draw, (4.6, 3.4), words("chart.class_imbalance")),
        words("caption.class_imbalance", share=f"{share:.0%}", usual=words(f"label.{usual}")),
    )


def _ratio(num_negative: int, num_positive: int) -> str:
    return f"1 : {num_positive / num_negative:.2f}" if num_negative and num_positive else ""


def _bar(axes: Axes, place: float, num_negative: int, num_positive: int) -> None:
    """Draw both classes as shares of one bar, with their numbers at its ends."""
    share = num_negative / (num_negative + num_positive)
    axes.barh(place, share, 0.8, color=CLASS_COLOURS[LABELS[0]])
    axes.barh(place, 1 - share, 0.8, left=share, color=CLASS_COLOURS[LABELS[1]])
    write: dict[str, Any] = {"va": "center", "color": "white", "fontsize": 9, "fontweight": "bold"}
    axes.text(0.015, place, f"{num_negative:,}", ha="left", **write)
    axes.text(0.985, place, f"{num_positive:,}", ha="right", **write)


def balance(counts: pd.DataFrame, num_augmented: Mapping[str, int], words: Words) -> Captioned:
    by_split = counts.set_index(["split", "label"])
    bars: list[tuple[str, list[int]]] = []
    for split in SPLITS:
        for column in ("files", "used"):
            name = f"{words(f'split.{split}')}, {words(f'chart.{column}')}"
            bars.append((name, list(by_split.loc[split, column])))
        if split == "train":
            name = f"{words('split.train')}, {words('chart.augmented')}"
            bars.append((name, [num_augmented[label] for label in LABELS]))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        places = [0.0, 1, 2, 3.4, 4.4, 5.8, 6.8]
        for place, (_, (num_negative, num_positive)) in zip(places, bars, strict=True):
            if num_negative + num_positive:
                _bar(axes, place, num_negative, num_positive)
            else:
                middle: dict[str, Any] = {"ha": "center", "va": "center"}
                axes.text(0.5, place, words("chart.no_files"), color=GRAY, fontsize=9, **middle)
        axes.axvline(0.5, color=INK, linewidth=1, linestyle=":")
        axes.set_yticks(places, [name for name, _ in bars])
        axes.set(xlim=(0, 1), ylim=(7.4, -0.6))
        axes.set_xticks((0, 0.5, 1), ("0%", "50%", "100%"))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        patches = [
            Patch(color=colour, label=words(f"label.{label}"))
            for label, colour in CLASS_COLOURS.items()
        ]
        figure.legend(handles=patches, loc="outside upper left", ncols=2)

    return Captioned(
        "balance_before_and_after",
        svg(draw, (5.2, 3.4), words("chart.balance")),
        words("caption.balance"),
    )


def _only_baseline(axes: Axes) -> None:
    axes.tick_params(left=False, labelleft=False, bottom=False)
    axes.spines["left"].set_visible(False)
