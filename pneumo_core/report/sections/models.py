"""The section on all models, strategies and architectures, as in 4.1 to 4.3 of the study.

Validation selects; the test figures stand beside it.
"""

from collections.abc import Sequence
from statistics import fmean

from pneumo_core.charts import Captioned
from pneumo_core.report.blocks import (
    Block,
    Cell,
    Charts,
    Column,
    Number,
    Paragraph,
    Subheading,
    Table,
)
from pneumo_core.report.charts import ForestRow, forest, learning_curve
from pneumo_core.report.findings import CellFindings, Findings
from pneumo_core.report.words import EN_DASH, Words

TEST = ("auroc", "accuracy", "sensitivity", "specificity")  # with intervals


def build(found: Findings, words: Words) -> list[Block]:
    trained = [cell for cell in found.cells if cell.val is not None]
    if not trained:
        return []
    blocks: list[Block] = [
        Paragraph(words("models.order", n=len(trained))),
        _leaderboard(found, trained, words),
        Paragraph(words("models.tied_meaning"), "quiet"),
        *(_explain_committee(cell, words) for cell in trained if cell.description.members),
        Charts(tuple(_forest(found, trained, name, words) for name in ("auroc", "accuracy"))),
    ]
    single = [cell for cell in trained if not cell.description.members]
    for kind in ("strategy", "architecture"):
        groups = {str(getattr(cell.description, kind)) for cell in single}
        if len(groups) > 1:
            blocks += [
                Subheading(words(f"models.by_{kind}")),
                _compared(single, kind, words),
                Paragraph(_conclusion(single, kind, words)),
            ]
    if len(trained) > 1:
        blocks.append(Paragraph(words("models.gap_meaning"), "quiet"))
    return [*blocks, Subheading(words("models.learning")), _learning(trained, words)]


def _explain_committee(cell: CellFindings, words: Words) -> Paragraph:
    members = cell.description.members
    names = words.listed(member.name for member in members)
    return Paragraph(words("models.committee", n=len(members), members=names))


def _leaderboard(found: Findings, cells: Sequence[CellFindings], words: Words) -> Table:
    columns = [Column(words("models.rank"), True), Column(words("models.model"))]
    columns += [Column(words("models.strategy"))]
    columns += [
        Column(words(f"models.{name}"), True, words(f"models.{name}_meaning"))
        for name in ("choice", "val", "shifted")
    ]
    columns += [
        Column(f"{words('split.test')} {words(f'short.{name}')}", True, words(f"figure.{name}"))
        for name in (*TEST, "f1")
    ]
    rows: list[tuple[Cell, ...]] = []
    for rank, cell in enumerate(cells, 1):
        validated = [(each or {})["auroc"]["value"] for each in (cell.val, cell.shifted)]
        of_val = [
            Number(words.value("auroc", value), value) for value in (cell.choice_auroc, *validated)
        ]
        of_test = [
            Number(words.figure(name, cell.test[name]), cell.test[name]["value"]) for name in TEST
        ]
        f1 = cell.test["f1"]["value"]
        of_test.append(Number(words.value("f1", f1), f1))
        shown = words.count(rank)
        if rank > 1 and cell.name in found.tied:
            shown = words("models.tied", rank=shown)
        names = (cell.description.architecture, cell.description.strategy)
        rows.append((Number(shown, rank), *names, *of_val, *of_test))
    caption = words("models.caption")
    return Table(tuple(columns), tuple(rows), caption, frozenset({0}), sortable=True)


def _forest(found: Findings, cells: Sequence[CellFindings], name: str, words: Words) -> Captioned:
    rows = [
        ForestRow(
            cell.name,
            {
                words("split.test"): cell.test[name],
                words("split.val"): (cell.val or cell.test)[name],
            },
            strong=cell is found.winner,
        )
        for cell in cells
    ]
    label = words("chart.forest_models", figure=words(f"figure.{name}"))
    caption = words("caption.models", figure=words(f"figure.{name}"))
    return Captioned(f"models_{name}", forest(rows, name, label, words), caption)


def gap(cell: CellFindings) -> float:
    """Return the loss of accuracy from validation to test."""
    assert cell.val is not None
    return float(cell.val["accuracy"]["value"] - cell.test["accuracy"]["value"])


def _by(cells: Sequence[CellFindings], kind: str) -> dict[str, list[CellFindings]]:
    """Return groups of cells in the order of their best cell."""
    groups: dict[str, list[CellFindings]] = {}
    for cell in cells:
        groups.setdefault(str(getattr(cell.description, kind)), []).append(cell)
    return groups


def _compared(cells: Sequence[CellFindings], kind: str, words: Words) -> Table:
    columns = (
        Column(words(f"models.{kind}")),
        Column(words("models.best")),
        Column(f"{words('split.val')} {words('figure.auroc')}", True),
        Column(f"{words('split.test')} {words('figure.accuracy')}", True),
        Column(words("models.range"), True),
        Column(words("models.gap"), True),
    )
    rows = []
    for name, group in _by(cells, kind).items():
        best = group[0]
        accuracies = [cell.test["accuracy"]["value"] for cell in group]
        gaps = [gap(cell) for cell in group]
        shown = words(f"strategy.{name}") if kind == "strategy" else name
        lowest, highest = (words.percent(f(accuracies)) for f in (min, max))
        rows.append(
            (
                shown,
                best.name,
                words.number((best.val or {})["auroc"]["value"]),
                words.figure("accuracy", best.test["accuracy"]),
                words.range(lowest, highest) if len(group) > 1 else EN_DASH,
                words.points(fmean(gaps)),
            )
        )
    return Table(columns, tuple(rows))


def _conclusion(cells: Sequence[CellFindings], kind: str, words: Words) -> str:
    """Return which group validation prefers, and which loses most from validation to test."""
    groups = _by(cells, kind)
    gaps = {name: fmean([gap(cell) for cell in group]) for name, group in groups.items()}
    best, falls = next(iter(groups)), max(gaps, key=gaps.__getitem__)

    def shown(name: str) -> str:
        return words(f"strategy.{name}") if kind == "strategy" else name

    return words(
        f"models.{kind}_conclusion",
        best=shown(best),
        falls=shown(falls),
        gap=words.points(gaps[falls]),
    )


def _learning(cells: Sequence[CellFindings], words: Words) -> Charts:
    with_history = [(cell.name, cell.history) for cell in cells if cell.history is not None]
    losses = [h[["train_loss", "val_loss"]].to_numpy().max() for _, h in with_history]
    return Charts(
        tuple(
            Captioned(f"learning_{rank}", learning_curve(name, history, max(losses), words), name)
            for rank, (name, history) in enumerate(with_history, 1)
        ),
        small=True,
    )
