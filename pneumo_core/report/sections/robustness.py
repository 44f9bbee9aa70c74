"""The section on robustness: the winner's figures under corruptions and shifts of brightness."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumo_core.audit.robustness import CURVES
from pneumo_core.charts import BLUE, GRAY, INK, ORANGE, PALE, Captioned, svg
from pneumo_core.report.blocks import Block, Charts, Column, Number, Paragraph, Subheading, Table
from pneumo_core.report.charts import one
from pneumo_core.report.words import Estimate, Words

PENS = {"auroc": (INK, "-"), "accuracy": (GRAY, "--")} | {
    "sensitivity": (ORANGE, "-"),
    "specificity": (BLUE, "-"),
}
NUM_COLUMNS = 5

Points = Sequence[Mapping[str, Estimate]]  # the figures of `CURVES` at each severity or shift


def build(
    found: Mapping[str, Any],
    split: str,
    sweep: Mapping[str, Mapping[str, Estimate]] | None,
    words: Words,
) -> list[Block]:
    """Return the section; `sweep` has the figures by shift of brightness, from the audit."""
    n = {"n": found["n"], "positive": words.count(found["n_positive"])}
    meaning = words("robustness.meaning", split=words.split(split), **n)
    if split == "val":
        meaning += " " + words("robustness.not_test")
    curves = Captioned("robustness", _grid(found, words), words("caption.robustness"))
    blocks: list[Block] = [
        Paragraph(meaning),
        _table(found, words),
        Charts((curves,)),
    ]
    if sweep:
        chart = Captioned("brightness_sweep", _sweep(sweep, words), words("caption.sweep"))
        blocks += [Subheading(words("robustness.brightness")), Charts((chart,))]
    return blocks


def worst_kind(found: Mapping[str, Any]) -> tuple[str, float]:
    """Return the corruption whose highest severity costs most balanced accuracy, and the loss."""
    name, worst = _by_balance(found)[0]
    return name, _balanced(found["clean"]) - _balanced(worst["figures"][-1])


def _balanced(figures: Mapping[str, Estimate]) -> float:
    return (figures["sensitivity"]["value"] + figures["specificity"]["value"]) / 2


def _by_balance(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the kinds by balanced accuracy at their highest severity, lowest first."""
    kinds = found["corruptions"].items()
    return sorted(kinds, key=lambda kind: _balanced(kind[1]["figures"][-1]))


def _table(found: Mapping[str, Any], words: Words) -> Table:
    """Return the unchanged films, then each kind at its highest severity, worst first."""

    def cells(figures: Mapping[str, Estimate]) -> tuple[Number, ...]:
        return tuple(
            Number(words.figure(name, figures[name]), figures[name]["value"]) for name in CURVES
        )

    rows: list[tuple[str | Number, ...]] = [(words("robustness.clean"), *cells(found["clean"]))]
    rows += [
        (words(f"corruption.{name}"), *cells(each["figures"][-1]))
        for name, each in _by_balance(found)
    ]
    columns = [Column(words("robustness.kind"))]
    columns += [Column(words(f"figure.{name}"), True) for name in CURVES]
    return Table(
        tuple(columns),
        tuple(rows),
        words("robustness.at_worst"),
        strong_rows=frozenset({0}),
        sortable=True,
    )


def _draw(axes: Axes, at: Sequence[float], points: Points, words: Words) -> None:
    for name, (colour, dash) in PENS.items():
        values = [point[name]["value"] for point in points]
        label = words(f"figure.{name}")
        axes.plot(at, values, dash, color=colour, linewidth=1.4, marker=".", label=label)
    axes.set_ylim(-0.03, 1.03)
    axes.grid(axis="y", color=PALE, linewidth=0.5)


def _grid(found: Mapping[str, Any], words: Words) -> Markup:
    kinds = found["corruptions"]

    def draw(figure: Figure) -> None:
        num_rows = -(-len(kinds) // NUM_COLUMNS)
        grid = figure.subplots(num_rows, NUM_COLUMNS, sharex=True, sharey=True).ravel()
        for axes, (name, each) in zip(grid, kinds.items(), strict=False):
            _draw(axes, range(6), [found["clean"], *each["figures"]], words)
            axes.set_title(words(f"corruption.{name}"), fontsize=9)
        for axes in grid[len(kinds) :]:
            axes.set_axis_off()
        grid[0].set_xticks(range(6))
        figure.supxlabel(words("robustness.severity"), fontsize=9)
        handles = grid[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside upper left", ncols=len(PENS))

    return svg(draw, (9.0, 5.6), words("chart.robustness"))


def _sweep(sweep: Mapping[str, Mapping[str, Estimate]], words: Words) -> Markup:
    shifts = sorted(sweep, key=float)

    def draw(axes: Axes) -> None:
        axes.axvline(0, color=PALE, linewidth=1)
        _draw(axes, [float(shift) for shift in shifts], [sweep[shift] for shift in shifts], words)
        axes.set_xlabel(words("robustness.shift"))
        axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4)

    return one(draw, (6.4, 3.4), words("chart.sweep"))
