"""The section on the study: figures, statements, and what differs."""

from typing import Any

from pneumo_core.charts import Captioned
from pneumo_core.metrics import Figure
from pneumo_core.report.blocks import Block, Bullets, Charts, Column, Paragraph, Subheading, Table
from pneumo_core.report.charts import ForestRow, forest
from pneumo_core.report.study import FIGURES, Claim, Comparison, Row
from pneumo_core.report.words import EN_DASH, Words


def build(compared: Comparison | None, words: Words) -> list[Block]:
    if compared is None:
        return [Paragraph(words("study.other_data"))]
    blocks: list[Block] = [Paragraph(words("study.meaning")), _figures(compared, words)]
    blocks += [Paragraph(words("study.implied"), "quiet"), Charts((_chart(compared, words),))]
    blocks += [Subheading(words("study.statements")), _claims(compared, words)]
    blocks += [Subheading(words("study.differs")), Paragraph(words("study.differs_meaning"))]
    return [*blocks, _settings(compared, words), Bullets((words("study.not_known"),))]


def _figure(name: str, figure: Figure | None, words: Words) -> str:
    return words.figure(name, vars(figure)) if figure else words("study.not_trained")


def _figures(compared: Comparison, words: Words) -> Table:
    columns = (
        Column(words("study.cell")),
        Column(words("study.here")),
        Column(words("winner.figure")),
        Column(words("study.study"), True),
        Column(words("study.measured"), True),
        Column(words("study.difference"), True),
        Column(words("study.verdict")),
    )
    return Table(columns, tuple(_row(row, words) for row in compared.rows))


def _row(row: Row, words: Words) -> tuple[str, ...]:
    difference = ""
    if row.difference:
        low, high = (words.points(end) for end in (row.difference.ci_low, row.difference.ci_high))
        difference = words(
            "study.points", value=words.points(row.difference.value), low=low, high=high
        )
    return (
        row.cell,
        row.ours or EN_DASH,
        words(f"figure.{row.name}"),
        _figure(row.name, row.study, words),
        _figure(row.name, row.here, words),
        difference,
        words(f"study.{row.verdict}"),
    )


def _chart(compared: Comparison, words: Words) -> Captioned:
    rows = []
    for row in compared.rows:
        if row.name != FIGURES[0]:
            continue
        rows.append(
            ForestRow(
                words("study.of_study", cell=row.cell), {words("figure.accuracy"): vars(row.study)}
            )
        )
        if row.here and row.ours:
            of_ours = words("study.of_ours", cell=row.ours)
            rows.append(ForestRow(of_ours, {words("figure.accuracy"): vars(row.here)}, True))
    label = words("chart.forest_study", figure=words("figure.accuracy"))
    drawn = forest(rows, "accuracy", label, words)
    return Captioned("beside_study", drawn, words("caption.beside_study"))


def _claims(compared: Comparison, words: Words) -> Table:
    columns = tuple(Column(words(f"study.{name}")) for name in ("statement", "verdict", "found"))
    rows = tuple(
        (
            words(f"claim.{claim.name}"),
            words(f"study.{claim.verdict}"),
            _found(claim, words),
        )
        for claim in compared.claims
    )
    return Table(columns, rows)


def _found(claim: Claim, words: Words) -> str:
    """What was found here, in words that fit the verdict where the catalogue has some."""
    key = f"claim.{claim.name}_{claim.verdict}"
    if not words.has(key):
        key = "claim.untested" if claim.verdict == "untested" else "claim.counts"
    return words(key, **{name: _value(value, words) for name, value in claim.values.items()})


def _value(value: Any, words: Words) -> str:
    if isinstance(value, Figure):
        low, high = (words.points(end) for end in (value.ci_low, value.ci_high))
        return words("study.points", value=words.points(value.value), low=low, high=high)
    if isinstance(value, float):
        return words.percent(value)
    if isinstance(value, tuple):
        return f"{words.count(sum(value))} ({' + '.join(words.count(each) for each in value)})"
    if isinstance(value, list):
        return words.listed([words(f"check.{name}") for name in value]) if value else EN_DASH
    return str(value)


def _settings(compared: Comparison, words: Words) -> Table:
    columns = tuple(Column(words(f"study.{name}")) for name in ("setting", "study", "measured"))
    rows = tuple(
        (words(f"setting.{name}"), *(_setting(value, words) for value in pair))
        for name, pair in compared.settings.items()
    )
    return Table(columns, rows)


def _setting(value: Any, words: Words) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return words("study.unknown") if value is None else str(value)
