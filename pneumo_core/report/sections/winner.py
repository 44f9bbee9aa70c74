"""The section on the winner: all its figures on test."""

from pneumo_core.charts import Captioned
from pneumo_core.metrics.metrics import Confusion
from pneumo_core.report.blocks import Block, Charts, Column, Paragraph, Table
from pneumo_core.report.charts import confusion_matrix, roc_curves
from pneumo_core.report.findings import Findings
from pneumo_core.report.words import Words

FIGURES = (
    "auroc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "fnr",
    "fpr",
    "f1",
    "brier",
    "ece",
)


def build(found: Findings, words: Words) -> list[Block]:
    return [Charts((_roc(found, words), _confusion(found, words))), *figures(found, words)]


def figures(found: Findings, words: Words) -> list[Block]:
    """Return the films and the point, all figures, and the methods of their intervals."""
    test = found.winner.test
    measured = words(
        "winner.measured",
        model=found.winner.name,
        split=words.split(test["split"]),
        n=test["n"],
        positive=words.count(test["n_positive"]),
        negative=words.count(test["n"] - test["n_positive"]),
        point=words(f"point.{test['operating_point']}"),
        threshold=words.number(test["threshold"]),
    )
    notes = [words("winner.intervals", patients=words.count(test["n_patients"]))]
    if trusted := test.get("without_suspects"):
        n, positive = trusted["n"], words.count(trusted["n_positive"])
        share, of_all = (words.percent(each["n_positive"] / each["n"]) for each in (trusted, test))
        notes.append(
            words("winner.without_suspects", n=n, positive=positive, share=share, all=of_all)
        )
    return [
        Paragraph(measured),
        _table(found, words),
        *(Paragraph(note, "quiet") for note in notes),
    ]


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
    counts = found.winner.test["confusion"]
    matrix = confusion_matrix(Confusion(**counts), words)
    texts = {name: words.count(count) for name, count in counts.items()}
    return Captioned("confusion", matrix, words("caption.confusion", **texts))


def _table(found: Findings, words: Words) -> Table:
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
        row += [words.figure(name, trusted[name])] if trusted else []
        rows.append(tuple(row))
    return Table(tuple(columns), tuple(rows))
