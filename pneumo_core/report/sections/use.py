"""The section on use: operating points, their meaning for 1,000 patients, a model for each use.

As in chapter 5 of the study. Validation chooses; the figures are those of test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pneumo_core.metrics.metrics import Confusion, confusion
from pneumo_core.report.blocks import (
    Block,
    Bullets,
    Column,
    Explorer,
    Number,
    Paragraph,
    Subheading,
    Table,
)
from pneumo_core.report.findings import CellFindings, Findings
from pneumo_core.report.proportions import by_name, proportions
from pneumo_core.report.words import RANGE, Words

# The figure of validation that chooses a model for a use, at its own point: the one that the point
# does not fix. For the reading aid the leaderboard itself chooses.
CHOSEN_BY = {"reading_aid": None, "screening": "specificity", "rule_in": "sensitivity"}
EXPLORED_PREVALENCES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
EXPLORER_LABELS = (
    "threshold",
    "prevalence",
    "counts",
    "truth",
    "called_positive",
    "called_negative",
    "per_1000",
    "caught",
    "missed",
    "called",
    "figures",
)
MAX_CANDIDATES = 3
ERRORS = ("sensitivity", "specificity")


@dataclass(frozen=True)
class Recommendation:
    """The cells that can serve a use, the best one first; none where validation proves none."""

    use: str
    cells: tuple[CellFindings, ...]


def recommend(found: Findings) -> list[Recommendation]:
    return [Recommendation(use, _ranked(found, use)) for use in CHOSEN_BY]


def _ranked(found: Findings, use: str) -> tuple[CellFindings, ...]:
    able = [cell for cell in found.cells if use in cell.points]
    by = CHOSEN_BY[use]
    if by is not None:

        def worth(cell: CellFindings) -> float:
            on_val = cell.val["operating_points"][use] if cell.val else cell.points[use]
            return float(on_val[by]["value"])

        able.sort(key=worth, reverse=True)  # stable: the leaderboard decides among equals
    return tuple(able)


def build(found: Findings, words: Words) -> list[Block]:
    blocks: list[Block] = [
        Paragraph(words("use.points_meaning")),
        points_table(found.winner, words),
        *_one_point(found.winner, words),
    ]
    blocks += [Subheading(words("use.per_1000")), Paragraph(words("use.per_1000_meaning"))]
    blocks.append(per_1000_table(found.winner, words))
    blocks += [Subheading(words("use.try")), Paragraph(words("use.try_meaning"))]
    blocks.append(explorer(found.winner, words))
    for recommendation in recommend(found):
        blocks += _scenario(recommendation, found, words)
    return blocks


def _one_point(winner: CellFindings, words: Words) -> list[Block]:
    """A sentence for each point that validation cannot tell from the reading aid."""
    blocks: list[Block] = []
    for name, point in (winner.val or winner.test)["operating_points"].items():
        apart = point["versus_reading_aid"]
        if apart and not apart["num_between"]:
            blocks.append(Paragraph(words("use.same_point", point=words(f"point.{name}"))))
        elif apart and apart["films_needed"]:
            needed = apart["films_needed"] - apart["n"]
            blocks.append(
                Paragraph(
                    words(
                        "use.not_apart",
                        point=words(f"point.{name}"),
                        between=words.count(apart["num_between"]),
                        films=words.count(apart["n"]),
                        needed=words.count(needed),
                    )
                )
            )
    return blocks


def points_table(winner: CellFindings, words: Words) -> Table:
    columns = [Column(words("use.point")), Column(words("use.rule"))]
    columns += [Column(words("use.threshold"), True), *_error_columns(winner, words)]
    rows = []
    for name, point in winner.points.items():
        low, high = point["threshold_ci_low"], point["threshold_ci_high"]
        threshold = words.number(point["threshold"])
        if low is not None:
            threshold += f" ({words.range(words.number(low), words.number(high))})"
        cells: list[str | Number] = [words(f"point.{name}"), words(f"use.rule_{name}"), threshold]
        rows.append((*cells, *_error_cells(winner, name, words)))
    in_use = list(winner.points).index(winner.test["operating_point"])
    return Table(tuple(columns), tuple(rows), words("use.points_caption"), frozenset({in_use}))


def _error_columns(cell: CellFindings, words: Words) -> list[Column]:
    return [
        Column(f"{words(f'split.{split}')} {words(f'figure.{name}')}", True)
        for split in (("val", "test") if cell.val else ("test",))
        for name in ERRORS
    ]


def _error_cells(cell: CellFindings, point: str, words: Words) -> list[str]:
    measured = [split["operating_points"][point] for split in (cell.val, cell.test) if split]
    return [words.figure(name, at[name]) for at in measured for name in ERRORS]


def per_1000_table(winner: CellFindings, words: Words) -> Table:
    names = ("found", "missed", "false_alarms", "cleared")
    columns = [Column(words("use.point")), Column(words("use.prevalence"), True)]
    columns += [Column(words(f"use.{name}"), True) for name in names]
    columns += [Column(words(f"figure.{name}"), True) for name in ("ppv", "npv")]
    rows = []
    for name, point in winner.points.items():
        for stated in point["predictive"]:
            cells = [words(f"point.{name}"), words.percent(stated["prevalence"], 0)]
            cells += [words.patients(stated["per_1000"][each]) for each in names]
            cells += [
                words.figure(each, stated[each]) if stated[each] else words("use.none")
                for each in ("ppv", "npv")
            ]
            rows.append(tuple(cells))
    return Table(tuple(columns), tuple(rows), words("use.per_1000_caption"))


def explorer(winner: CellFindings, words: Words) -> Explorer:
    scores, threshold = winner.scores, float(winner.test["threshold"])
    positive = scores.positive
    stated = [
        each["prevalence"] for each in winner.points[winner.test["operating_point"]]["predictive"]
    ]
    prevalence = stated[len(stated) // 2]
    data = {
        "positive": sorted(scores.probabilities[positive].tolist()),
        "negative": sorted(scores.probabilities[~positive].tolist()),
        "start": threshold,
        "points": {name: point["threshold"] for name, point in winner.points.items()},
        "prevalences": sorted({*EXPLORED_PREVALENCES, *stated}),
        "prevalence": prevalence,
        "range": RANGE[words.language],
        "none": words("use.none"),
    }
    labels = {name: words(f"explorer.{name}") for name in EXPLORER_LABELS}
    labels |= {name: words(f"point.{name}") for name in winner.points}
    labels |= {name: words(f"figure.{name}") for name in ("ppv", "npv")}
    labels |= {n: words(f"figure.{n}") for n in ("sensitivity", "specificity", "accuracy")}
    labels |= {"positive": words("label.PNEUMONIA"), "negative": words("label.NORMAL")}
    return Explorer(
        data, labels, _start(confusion(scores, threshold), threshold, prevalence, words)
    )


def _start(c: Confusion, threshold: float, prevalence: float, words: Words) -> dict[str, str]:
    """Return what the script shows at this threshold, for readers without a script."""
    found = {name: vars(figure) for name, figure in by_name(proportions(c)).items()}
    sensitivity, specificity = found["sensitivity"]["value"], found["specificity"]["value"]
    caught, missed = 1000 * prevalence * sensitivity, 1000 * prevalence * (1 - sensitivity)
    passed = 1000 * (1 - prevalence) * specificity
    called = 1000 * (1 - prevalence) * (1 - specificity)
    none = words("use.none")
    return {
        "threshold": words.number(threshold),
        "prevalence": f"{100 * prevalence:g}%",
        **{name: words.count(count) for name, count in vars(c).items()},
        **{name: words.figure(name, figure) for name, figure in found.items()},
        **{
            name: words.count(round(count))
            for name, count in (("caught", caught), ("missed", missed), ("called", called))
        },
        "ppv": words.percent(caught / (caught + called)) if caught + called else none,
        "npv": words.percent(passed / (passed + missed)) if passed + missed else none,
    }


def _scenario(recommendation: Recommendation, found: Findings, words: Words) -> list[Block]:
    use = recommendation.use
    blocks: list[Block] = [Subheading(words(f"use.scenario_{use}"))]
    if not recommendation.cells:
        return [*blocks, Paragraph(words(f"use.no_{use}"))]
    chosen = recommendation.cells[0]
    point = chosen.points[use]
    middle = point["predictive"][len(point["predictive"]) // 2]
    blocks.append(
        Bullets(
            (
                words("use.model", model=chosen.name, threshold=words.number(point["threshold"])),
                words(f"use.for_{use}"),
                words("use.on_test", **_figures(point, words)),
                words("use.of_1000", **_of_1000(middle, words)),
                words(f"use.condition_{use}"),
            )
        )
    )
    if len(recommendation.cells) > 1:
        blocks.append(_candidates(recommendation, found, words))
    return blocks


def _figures(point: Mapping[str, Any], words: Words) -> dict[str, str]:
    c = point["confusion"]
    return {
        "sensitivity": words.figure("sensitivity", point["sensitivity"]),
        "specificity": words.figure("specificity", point["specificity"]),
        "missed": words.count(c["fn"]),
        "positive": words.count(c["tp"] + c["fn"]),
        "alarms": words.count(c["fp"]),
        "negative": words.count(c["fp"] + c["tn"]),
    }


def _of_1000(stated: Mapping[str, Any], words: Words) -> dict[str, str]:
    counts = stated["per_1000"]
    return {
        "prevalence": words.percent(stated["prevalence"], 0),
        "positive": words.count(round(counts["positive"])),
        "missed": words.patients(counts["missed"]),
        "alarms": words.patients(counts["false_alarms"]),
        "ppv": words.figure("ppv", stated["ppv"]) if stated["ppv"] else words("use.none"),
    }


def _candidates(recommendation: Recommendation, found: Findings, words: Words) -> Table:
    use = recommendation.use
    shown: Sequence[CellFindings] = recommendation.cells[:MAX_CANDIDATES]
    columns = [Column(words("models.model")), *_error_columns(found.winner, words)]
    rows = [(cell.name, *_error_cells(cell, use, words)) for cell in shown]
    by = CHOSEN_BY[use] or "auroc"
    caption = words("use.candidates", figure=words(f"figure.{by}"), n=len(recommendation.cells))
    return Table(tuple(columns), tuple(rows), caption, frozenset({0}))
