"""The section on subgroups: the winner's figures in each group of films and in the worst one."""

from collections.abc import Mapping
from typing import Any

from pneumo_core.charts import Captioned
from pneumo_core.report.blocks import Block, Charts, Column, Number, Paragraph, Table
from pneumo_core.report.charts import ForestRow, forest
from pneumo_core.report.findings import CellFindings
from pneumo_core.report.words import Words

FIGURES = ("sensitivity", "specificity")
TABLED = (*FIGURES, "auroc")

Groups = Mapping[str, Mapping[str, Any]]


def build(winner: CellFindings, words: Words) -> list[Block]:
    found = winner.test["subgroups"]
    if not found:
        return [Paragraph(words("subgroups.unknown"))]
    charts = tuple(_chart(winner, name, words) for name in FIGURES)
    worst = winner.test["worst_groups"]
    blocks: list[Block] = [Paragraph(words("subgroups.meaning"))]
    blocks += [
        Paragraph(
            words(
                "subgroups.worst",
                figure=words(f"figure.{name}"),
                group=group_name(each["dimension"], each["group"], words),
                value=words.figure(name, each),
            )
        )
        for name, each in worst.items()
        if name in FIGURES
    ]
    return [*blocks, Charts(charts), table(found, words)]


def group_name(dimension: str, group: str, words: Words) -> str:
    known = f"{'subtype' if dimension == 'subtype' else 'quarter'}.{group}"
    shown = words(known) if words.has(known) else group
    return words("subgroups.group", dimension=words(f"dimension.{dimension}"), group=shown)


def _chart(winner: CellFindings, name: str, words: Words) -> Captioned:
    rows = [ForestRow(words("subgroups.all"), {words("split.test"): winner.test[name]}, True)]
    rows += [
        ForestRow(group_name(dimension, group, words), {words("split.test"): each[name]})
        for dimension, groups in winner.test["subgroups"].items()
        for group, each in groups.items()
        if name in each and not (name == "specificity" and dimension == "subtype")
    ]
    figure = words(f"figure.{name}")
    label = words("chart.forest_groups", figure=figure)
    drawn = forest(rows, name, label, words, winner.test[name]["value"])
    return Captioned(f"subgroups_{name}", drawn, words("caption.subgroups", figure=figure))


def table(found: Mapping[str, Groups], words: Words) -> Table:
    columns = [Column(words("subgroups.name")), Column(words("subgroups.bounds"), True)]
    columns += [Column(words(f"subgroups.{name}"), True) for name in ("n", "n_positive")]
    columns += [Column(words(f"figure.{name}"), True) for name in TABLED]
    rows = []
    for dimension, groups in found.items():
        for group, each in groups.items():
            bounds = ""
            if "low" in each:
                places = 2 if dimension == "aspect_ratio" else 0
                low, high = (words.number(each[end], places) for end in ("low", "high"))
                bounds = words.range(low, high)
            counts = [Number(words.count(each[n]), each[n]) for n in ("n", "n_positive")]
            figures = [
                Number(words.figure(name, each[name]), each[name]["value"])
                if name in each
                else words("subgroups.no_films")
                for name in TABLED
            ]
            rows.append((group_name(dimension, group, words), bounds, *counts, *figures))
    return Table(tuple(columns), tuple(rows), words("subgroups.caption"), sortable=True)
