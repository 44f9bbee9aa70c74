"""The section on the study: its figures, its statements, and the differences of settings."""

from collections.abc import Mapping
from typing import Any

from pneumo_core.charts import Captioned
from pneumo_core.metrics.metrics import Estimate
from pneumo_core.report.blocks import Block, Bullets, Charts, Column, Paragraph, Subheading, Table
from pneumo_core.report.charts import ForestRow, forest
from pneumo_core.report.proportions import FIGURES
from pneumo_core.report.sections.study import StudyCell, StudyComparison
from pneumo_core.report.sections.study_claims import Claim
from pneumo_core.report.words import Words


def build(compared: StudyComparison | None, words: Words) -> list[Block]:
    if compared is None:
        return [Paragraph(words("study.other_data"))]
    blocks: list[Block] = [Paragraph(words("study.meaning")), _figures(compared, words)]
    blocks += [Paragraph(words("study.implied"), "quiet"), Charts((_chart(compared, words),))]
    blocks += [Subheading(words("study.statements")), _claims(compared, words)]
    blocks += [Subheading(words("study.differs")), Paragraph(words("study.differs_meaning"))]
    return [*blocks, _settings(compared, words), Bullets((words("study.not_known"),))]


def _figures(compared: StudyComparison, words: Words) -> Table:
    columns = [Column(words("study.model")), Column(words("study.where"))]
    columns += [Column(words(f"figure.{name}"), True) for name in FIGURES]
    rows = [row for each in compared.rows for row in _rows(each, words)]
    return Table(tuple(columns), tuple(rows))


def _rows(row: StudyCell, words: Words) -> list[tuple[str, ...]]:
    def figures(of: Mapping[str, Estimate]) -> tuple[str, ...]:
        return tuple(words.figure(name, vars(of[name])) for name in FIGURES)

    if row.here is None or row.ours is None or row.differences is None:
        return [(row.cell, words("study.only_study"), *figures(row.study))]
    differences = tuple(_difference(row.differences[name], words) for name in FIGURES)
    return [
        (row.cell, words("study.study"), *figures(row.study)),
        (row.ours, words("study.measured"), *figures(row.here)),
        ("", words("study.difference"), *differences),
    ]


def _difference(figure: Estimate, words: Words) -> str:
    verdict = "higher" if figure.ci_low > 0 else "lower" if figure.ci_high < 0 else "agrees"
    value, *ends = (words.signed(each) for each in (figure.value, figure.ci_low, figure.ci_high))
    shown = f"{value} ({words.range(*ends)})"
    return words(f"study.{verdict}", difference=shown)


def _chart(compared: StudyComparison, words: Words) -> Captioned:
    name = words("figure.accuracy")
    rows = []
    for row in compared.rows:
        of_study = words("study.of_study", cell=row.cell)
        rows.append(ForestRow(of_study, {name: vars(row.study["accuracy"])}))
        if row.here and row.ours:
            of_ours = words("study.of_ours", cell=row.ours)
            rows.append(ForestRow(of_ours, {name: vars(row.here["accuracy"])}, True))
    label = words("chart.forest_study", figure=words("figure.accuracy"))
    drawn = forest(rows, "accuracy", label, words)
    return Captioned("beside_study", drawn, words("caption.beside_study"))


def _claims(compared: StudyComparison, words: Words) -> Table:
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
    """Return the finding of this run, in the words of the verdict if the catalogue has them."""
    key = f"claim.{claim.name}_{claim.verdict}"
    if not words.has(key):
        key = "claim.untested" if claim.verdict == "untested" else "claim.counts"
    return words(key, **{name: _value(value, words) for name, value in claim.values.items()})


def _value(value: Any, words: Words) -> str:
    if isinstance(value, Estimate):
        low, high = (words.signed(end) for end in (value.ci_low, value.ci_high))
        return words("study.points", value=words.points(value.value), low=low, high=high)
    if isinstance(value, float):
        return words.percent(value)
    if isinstance(value, tuple):
        return f"{words.count(sum(value))} ({' + '.join(words.count(each) for each in value)})"
    if isinstance(value, list):
        return words.listed([words(f"check.{name}") for name in value] or [words("use.none")])
    return str(value)


def _settings(compared: StudyComparison, words: Words) -> Table:
    columns = tuple(Column(words(f"study.{name}")) for name in ("setting", "study", "measured"))
    rows = tuple(
        (words(f"setting.{name}"), *(_setting(value, words) for value in pair))
        for name, pair in compared.settings.items()
    )
    return Table(columns, rows)


def _setting(value: Any, words: Words) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None:
        return words("study.unknown")
    return words(f"resize.{value}") if words.has(f"resize.{value}") else str(value)
