"""New films beside the training data, as a page: may they be used, do they differ, what follows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from pneumo_core.arrays import Floats
from pneumo_core.charts import BLUE, GRAY, INK, ORANGE, Captioned, svg
from pneumo_core.inference.drift import MIN_PATIENTS, FigureDrift, Findings
from pneumo_core.report.blocks import (
    Block,
    Charts,
    Column,
    Definitions,
    Document,
    Level,
    Number,
    Paragraph,
    Table,
    Verdict,
    Verdicts,
    assemble,
)
from pneumo_core.report.words import MINUS, Words

NUM_COLUMNS = 3
MIN_P = 0.001  # smaller ones are written as such
DIRECTION = "direction_"


@dataclass(frozen=True)
class Distributions:
    """Figures of the training data and of new films, a row a film, a film a patient."""

    reference: pd.DataFrame
    later: pd.DataFrame


def write(findings: Findings, drawn: Distributions | None, words: Words) -> Document:
    """Return the page; without `drawn` it has no chart."""
    sections: dict[str, list[Block]] = {
        "verdict": [_answers(findings, words), _facts(findings, words)]
    }
    if findings.comparisons:
        sections["figures"] = [_table(findings, words), _meaning(findings, words)]
        if drawn is not None:
            sections["figures"].append(Charts((_chart(findings.comparisons, drawn, words),)))
    return assemble(words, "drift", sections)


def _answers(findings: Findings, words: Words) -> Verdicts:
    marks: dict[Level, str] = {
        level: words(f"drift.mark_{level}") for level in ("good", "bad", "caution", "open")
    }
    answers = {
        "usable": _usable(findings, words),
        "drift": _drift(findings, words),
        "training": _training(findings, words),
    }
    return Verdicts(
        tuple(
            Verdict(level, words(f"drift.question_{name}"), text)
            for name, (level, text) in answers.items()
        ),
        marks,
    )


def _usable(findings: Findings, words: Words) -> tuple[Level, str]:
    unusable, new = findings.num_quarantined, findings.num_new
    if findings.unusable:
        counts = {"unusable": words.count(unusable), "new": words.count(new)}
        return "bad", words("drift.unusable", **counts, fault=findings.main_fault)
    return "good", words("drift.usable", usable=words.count(new - unusable), new=words.count(new))


def _drift(findings: Findings, words: Words) -> tuple[Level, str]:
    if not findings.comparisons:
        return "open", words("drift.too_few", patients=findings.num_patients, needed=MIN_PATIENTS)
    if not findings.drifted:
        return "good", words("drift.alike")
    names = ", ".join(figure_name(each.figure, words) for each in findings.drifted)
    numbers = {"n": len(findings.drifted), "all": len(findings.comparisons)}
    return "bad", words("drift.drifted", names=names, **numbers)


def _training(findings: Findings, words: Words) -> tuple[Level, str]:
    why = [words("drift.training_drift")] if findings.drifted else []
    if findings.num_labelled >= findings.params.min_new_films:
        needed = words.count(findings.params.min_new_films)
        labelled = words.count(findings.num_labelled)
        why.append(words("drift.training_labels", labelled=labelled, needed=needed))
    return ("caution", " ".join(why)) if why else ("good", words("drift.no_training"))


def _facts(findings: Findings, words: Words) -> Definitions:
    files, new = words.count(findings.num_files), words.count(findings.num_new)
    patients, reference = words.count(findings.num_patients), words.count(findings.num_reference)
    erased = [(words("drift.erased"), words.count(findings.num_erased))]
    return Definitions(
        (
            (words("drift.source"), f"`{findings.source}`"),
            (words("drift.model"), findings.model),
            (words("drift.files"), words("drift.files_new", files=files, new=new)),
            *(erased if findings.num_erased else ()),
            (words("drift.labelled"), words.count(findings.num_labelled)),
            (
                words("drift.compared"),
                words("drift.compared_with", patients=patients, reference=reference),
            ),
        )
    )


def figure_name(figure: str, words: Words) -> str:
    if figure.startswith(DIRECTION):
        return words("drift.figure_direction", number=figure.removeprefix(DIRECTION))
    return words(f"drift.figure_{figure}")


def _table(findings: Findings, words: Words) -> Table:
    texts, numbers = ("figure", "kind"), ("reference", "new", "distance", "p")
    return Table(
        (
            *(Column(words(f"drift.column_{name}")) for name in texts),
            *(Column(words(f"drift.column_{name}"), numeric=True) for name in numbers),
            Column(words("drift.column_verdict")),
        ),
        tuple(
            (
                figure_name(each.figure, words),
                words(f"drift.kind_{each.kind}"),
                *(_median(each.reference_median), _median(each.median)),
                Number(words.number(each.distance, 2), each.distance),
                Number(_p_value(each.p, words), each.p),
                words("drift.is_drifted" if each.drifted else "drift.is_alike"),
            )
            for each in findings.comparisons
        ),
        strong_rows=frozenset(row for row, each in enumerate(findings.comparisons) if each.drifted),
        sortable=True,
    )


def _median(value: float) -> Number:
    return Number(f"{value:.3g}".replace("-", MINUS), value)


def _p_value(p: float, words: Words) -> str:
    return words.number(p) if p >= MIN_P else f"<{words.number(MIN_P)}"


def _meaning(findings: Findings, words: Words) -> Paragraph:
    alpha = findings.params.max_false_alarm_rate
    return Paragraph(
        words(
            "drift.meaning",
            figures=len(findings.comparisons),
            alpha=f"{alpha:g}",
            distance=f"{findings.params.min_distance:g}",
            alarms=f"{100 * alpha:.3g}",
        ),
        "quiet",
    )


def _chart(comparisons: tuple[FigureDrift, ...], drawn: Distributions, words: Words) -> Captioned:
    """Return both distributions of each figure; their largest gap is the distance."""
    num_rows = -(-len(comparisons) // NUM_COLUMNS)
    names = [words("drift.training_films"), words("drift.new_films")]

    def draw(figure: Figure) -> None:
        places = figure.subplots(num_rows, NUM_COLUMNS, squeeze=False, sharey=True).ravel()
        for axes in places[len(comparisons) :]:
            axes.set_visible(False)
        for axes, each in zip(places, comparisons, strict=False):
            colour = ORANGE if each.drifted else GRAY
            axes.step(*_cumulated(drawn.reference[each.figure]), color=BLUE, label=names[0])
            axes.step(*_cumulated(drawn.later[each.figure]), color=colour, linestyle="--")
            axes.set_title(figure_name(each.figure, words), color=ORANGE if each.drifted else INK)
            distance = f"{words('drift.column_distance')} {words.number(each.distance, 2)}"
            axes.set(xlabel=distance, ylim=(0, 1))
        figure.supylabel(words("drift.share"), fontsize=9)
        figure.legend(names, loc="outside upper left", ncols=2)

    chart: Markup = svg(draw, (7.2, 0.6 + 1.9 * num_rows), words("drift.chart"))
    return Captioned("drift", chart, words("drift.caption"))


def _cumulated(values: pd.Series) -> tuple[Floats, Floats]:
    found = np.sort(values.to_numpy(np.float64))
    return found, np.arange(1, len(found) + 1) / len(found)
