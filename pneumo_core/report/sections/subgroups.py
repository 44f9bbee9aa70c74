"""The section on subgroups: does the winner serve all groups of films alike?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pneumo_core.charts import Captioned
from pneumo_core.data import manifest
from pneumo_core.metrics.group_differences import COIN, MAX_DIFFERENCE, SHARES, reach
from pneumo_core.metrics.paired import ALPHA
from pneumo_core.metrics.subgroups import FIGURES, MIN_BEHIND, sure_figures
from pneumo_core.report.blocks import (
    Block,
    Charts,
    Column,
    Level,
    Number,
    Paragraph,
    Table,
    Verdict,
    Verdicts,
)
from pneumo_core.report.charts import ForestRow, forest
from pneumo_core.report.findings import CellFindings
from pneumo_core.report.words import MINUS, PERCENTAGES, Words

ASKED = ("age", "sex")  # of every set of films, whether it is known or not
NUM_NAMED = 3  # groups or differences in a sentence

Groups = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """Whether the model serves the groups of a dimension alike; in words `subgroups.{reason}`."""

    dimension: str
    level: Level
    reason: str  # the verdict of `group_differences`, or not_known or left_out
    groups: Groups
    differences: Sequence[Mapping[str, Any]] = ()


def build(winner: CellFindings, words: Words) -> list[Block]:
    found = winner.test["subgroups"]
    if not found:
        return [Paragraph(words("subgroups.unknown"))]
    answers = answer(winner)
    marks = {each.level: words(f"trust.mark_{each.level}") for each in answers}
    tested = words(
        "subgroups.tested",
        n=MIN_BEHIND,
        num=words.count(sum(len(each.differences) for each in answers)),
        limit=limit(words),
    )
    verdicts = tuple(
        Verdict(each.level, _question(each.dimension, words), sentence(each, words))
        for each in answers
    )
    charts = tuple(_chart(winner, name, words) for name in SHARES)
    return [
        Paragraph(f"{words('subgroups.meaning')} {tested}"),
        Verdicts(verdicts, marks),
        Charts(charts),
        table(found, words),
    ]


def answer(winner: CellFindings) -> list[Answer]:
    """Return the answers for age and sex in any case, and for each dimension in the evaluation."""
    found = winner.test["subgroups"]
    return [
        of_dimension(dimension, winner.test) if dimension in found else _missing(dimension, winner)
        for dimension in dict.fromkeys((*ASKED, *found))
    ]


def of_dimension(dimension: str, metrics: Mapping[str, Any]) -> Answer:
    """Return the answer for a dimension of the `subgroups` of a `metrics.json`."""
    verdict, differences = metrics["group_differences"][dimension].values()
    level = _level(verdict, differences)
    return Answer(dimension, level, verdict, metrics["subgroups"][dimension], differences)


def _missing(dimension: str, winner: CellFindings) -> Answer:
    column = winner.predictions.get(f"{manifest.METADATA}{dimension}")
    known = column is not None and column.notna().any()
    return Answer(dimension, "open", "left_out" if known else "not_known", {})


def _level(verdict: str, differences: Sequence[Mapping[str, Any]]) -> Level:
    if verdict == "differs":
        large = any(abs(each["value"]) > MAX_DIFFERENCE for each in _beyond_chance(differences))
        return "bad" if large else "caution"
    levels: dict[str, Level] = {"alike": "good", "fails": "bad"}
    return levels.get(verdict, "open")


def _beyond_chance(differences: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the differences that are, the largest first."""
    beyond = [each for each in differences if each["p"] < ALPHA]
    return sorted(beyond, key=lambda each: -abs(each["value"]))


def sentence(each: Answer, words: Words) -> str:
    failing = [
        words("trust.group", figure=words(f"figure.{name}"), group=shown, value=value)
        for group, figures in each.groups.items()
        for name in sure_figures(figures, "n_patients")
        if name in SHARES and figures[name]["ci_high"] < COIN
        for shown, value in [
            (short_name(each.dimension, group, words), words.figure(name, figures[name]))
        ]
    ]
    beyond = [
        _difference(each.dimension, found, words) for found in _beyond_chance(each.differences)
    ]
    compared = dict.fromkeys(
        name for found in each.differences for name in (found["group"], found["versus"]) if name
    )
    return words(
        f"subgroups.{each.reason}",
        n=MIN_BEHIND,
        limit=limit(words),
        groups=", ".join(
            failing[:NUM_NAMED] or [short_name(each.dimension, name, words) for name in compared]
        ),
        differences="; ".join(beyond[:NUM_NAMED]),
        reach=_points(reach(each.differences), words) if each.differences else "",
    )


def limit(words: Words) -> str:
    return _points(MAX_DIFFERENCE, words)


def _points(share: float, words: Words) -> str:
    return words("unit.points", value=f"{100 * share:.0f}")


def _difference(dimension: str, found: Mapping[str, Any], words: Words) -> str:
    name, versus = found["figure"], found["versus"]
    value, low, high = (
        _signed(name, found[part], words) for part in ("value", "ci_low", "ci_high")
    )
    return words(
        "subgroups.difference",
        figure=words(f"figure.{name}"),
        group=short_name(dimension, found["group"], words),
        versus=short_name(dimension, versus, words) if versus else words("subgroups.others"),
        difference=words("unit.points", value=value) if name in PERCENTAGES else value,
        interval=words.range(low, high),
    )


def _signed(figure: str, difference: float, words: Words) -> str:
    """Return a difference of shares in points without the unit, of AUROC as it is."""
    if figure in PERCENTAGES:
        return words.signed(difference)
    return f"{difference:+.3f}".replace("-", MINUS)


def dimension_name(dimension: str, words: Words) -> str:
    key = f"dimension.{dimension}"
    return words(key) if words.has(key) else dimension


def group_name(dimension: str, group: str, words: Words) -> str:
    return words(
        "subgroups.group",
        dimension=dimension_name(dimension, words),
        group=short_name(dimension, group, words),
    )


def short_name(dimension: str, group: str, words: Words) -> str:
    known = f"{dimension}.{group}" if dimension in ("subtype", "sex") else ""
    keys = (key for key in (known, f"group.{group}") if words.has(key))
    return next((words(key) for key in keys), group)


def _question(dimension: str, words: Words) -> str:
    key = f"subgroups.alike_{dimension}"
    if words.has(key):
        return words(key)
    return words("subgroups.alike_by", dimension=dimension_name(dimension, words))


def _chart(winner: CellFindings, name: str, words: Words) -> Captioned:
    rows = [ForestRow(words("subgroups.all"), {words("split.test"): winner.test[name]}, True)]
    rows += [
        ForestRow(group_name(dimension, group, words), {words("split.test"): each[name]})
        for dimension, groups in winner.test["subgroups"].items()
        for group, each in groups.items()
        if name in each
    ]
    figure = words(f"figure.{name}")
    label = words("chart.forest_groups", figure=figure)
    drawn = forest(rows, name, label, words, winner.test[name]["value"])
    return Captioned(f"subgroups_{name}", drawn, words("caption.subgroups", figure=figure))


def table(found: Mapping[str, Groups], words: Words) -> Table:
    columns = [Column(words("subgroups.name")), Column(words("subgroups.bounds"), True)]
    columns += [Column(words(f"subgroups.{name}"), True) for name in ("n", "n_positive")]
    columns += [Column(words(f"figure.{name}"), True) for name in FIGURES]
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
                for name in FIGURES
            ]
            rows.append((group_name(dimension, group, words), bounds, *counts, *figures))
    return Table(tuple(columns), tuple(rows), words("subgroups.caption"), sortable=True)
