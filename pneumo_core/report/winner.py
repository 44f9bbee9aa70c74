"""The winner's figures on test, all of them."""

from pneumo_core.charts import Captioned
from pneumo_core.metrics import Confusion
from pneumo_core.report.blocks import Block, Charts, Column, Paragraph, Table
from pneumo_core.report.charts import confusion_matrix, roc_curves
from pneumo_core.report.findings import Findings
from pneumo_core.report.words import Words

FIGURES = (
    *("auroc", "average_precision", "accuracy", "balanced_accuracy", "sensitivity"),
    *("specificity", "fnr", "fpr", "f1", "brier", "ece"),
)


def build(found: Findings, words: Words) -> list[Block]:
    winner = found.winner
    point = words(f"point.{winner.test['operating_point']}")
    blocks: list[Block] = [
        Paragraph(
            words(
                "winner.measured",
                model=winner.name,
                split=words.split(winner.test["split"]),
                n=winner.test["n"],
                ill=words.count(winner.test["n_positive"]),
                well=words.count(winner.test["n"] - winner.test["n_positive"]),
                point=point,
                threshold=words.number(winner.test["threshold"]),
            )
        ),
        Charts((_roc(found, words), _confusion(found, words))),
        figures_table(found, words),
    ]
    if trusted := winner.test.get("without_suspects"):
        n, ill = trusted["n"], words.count(trusted["n_positive"])
        blocks.append(Paragraph(words("winner.without_suspects", n=n, ill=ill), "quiet"))
    return blocks


def _roc(found: Findings, words: Words) -> Captioned:
    scores = {cell.name: cell.scores for cell in found.cells}
    labels = {
        cell.name: f"{cell.name}: {words.number(cell.test['auroc']['value'])}"
        for cell in found.cells
    }
    points = {
        words(f"point.{name}"): (1 - each["specificity"]["value"], each["sensitivity"]["value"])
        for name, each in found.winner.points.items()
    }
    return Captioned("roc", roc_curves(scores, labels, points, words), words("caption.roc"))


def _confusion(found: Findings, words: Words) -> Captioned:
    matrix = confusion_matrix(Confusion(**found.winner.test["confusion"]), words)
    return Captioned("confusion", matrix, words("caption.confusion"))


def figures_table(found: Findings, words: Words) -> Table:
    winner = found.winner
    trusted = winner.test.get("without_suspects")
    columns = [Column(words("winner.figure"))]
    columns += [Column(words("split.val"), True)] if winner.val else []
    columns += [Column(words("split.test"), True), Column(words("winner.interval"), True)]
    columns += [Column(words("winner.trusted"), True)] if trusted else []
    rows = []
    for name in FIGURES:
        row = [words(f"figure.{name}")]
        row += [words.value(name, winner.val[name]["value"])] if winner.val else []
        row += [words.value(name, winner.test[name]["value"])]
        row += [words.interval(name, winner.test[name])]
        row += [words.value(name, trusted[name]["value"])] if trusted else []
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))
