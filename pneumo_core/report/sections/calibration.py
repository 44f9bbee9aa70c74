"""The section on calibration, and on the net benefit of acting on a probability."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from pneumo_core.charts import BLUE, GRAY, INK, ORANGE, PALE, Captioned
from pneumo_core.report.blocks import Block, Charts, Column, Level, Paragraph, Subheading, Table
from pneumo_core.report.charts import UNIT, one
from pneumo_core.report.findings import CellFindings, Metrics
from pneumo_core.report.words import EN_DASH, MINUS, Words

MAX_ECE = 0.05  # by its upper bound: a probability of .80 then stands for .75 to .85 on average


def level(test: Metrics) -> Level:
    """Judge the calibration error as it is, and at the prevalence of these films.

    Probabilities that are too high look right where pneumonia is more common than they assume.
    """
    errors = (test["ece"], _own(test)["ece"])
    return "good" if max(each["ci_high"] for each in errors) <= MAX_ECE else "caution"


def texts(test: Metrics, words: Words) -> dict[str, str]:
    """Return the figures of the answer as the language writes them."""
    ece, at = words.figure("ece", test["ece"]), ""
    if known := test["calibration"]["prevalence"]:
        own = words.figure("ece", _own(test)["ece"])
        ece = words("trust.calibration_own", ece=ece, own=own)
        at = words("trust.calibration_at", prevalence=words.percent(known, 0))
    return {"ece": ece, "at": at, "limit": words.number(MAX_ECE, 2)}


def _own(test: Metrics) -> Metrics:
    return test["calibration"]["at_own_prevalence"] or test


def build(winner: CellFindings, words: Words) -> list[Block]:
    found = winner.test["calibration"]
    bins = Captioned(
        "reliability", _reliability(found["bins"], words), words("caption.reliability")
    )
    blocks: list[Block] = []
    if found["slope"] is not None:
        slope, intercept = words.number(found["slope"]), words.number(abs(found["intercept"]))
        sign = MINUS if found["intercept"] < 0 else "+"
        added = f"{sign} {intercept}"
        blocks.append(Paragraph(words("calibration.platt", slope=slope, intercept=added)))
    blocks += [Charts((bins,)), _figures(winner, words)]
    if found["elsewhere"]:
        blocks += [
            Paragraph(
                words("calibration.elsewhere", prevalence=words.percent(found["prevalence"]))
            ),
            _elsewhere(winner, words),
        ]
    if curves := winner.test["decision_curve"]:
        blocks += [
            Subheading(words("calibration.decision")),
            Paragraph(words("calibration.decision_meaning")),
            Charts(tuple(_decision_chart(curve, words) for curve in curves)),
        ]
    return blocks


def _figures(winner: CellFindings, words: Words) -> Table:
    own = winner.test["calibration"]["at_own_prevalence"]
    columns = [Column(words("winner.figure")), Column(words("split.test"), True)]
    columns += [Column(words("calibration.own"), True)] if own else []
    rows = []
    for name in ("ece", "brier"):
        row = [words(f"figure.{name}"), words.figure(name, winner.test[name])]
        row += [words.figure(name, own[name])] if own else []
        rows.append(tuple(row))
    for name in ("calibration_intercept", "calibration_slope"):
        figure = winner.test[name]
        shown = words.figure(name, figure) if figure else words("calibration.separated")
        rows.append((words(f"figure.{name}"), *([EN_DASH] if own else []), shown))
    caption = words("calibration.caption")
    if own:
        share = words.percent(own["prevalence"])
        caption = f"{caption} {words('calibration.own_meaning', prevalence=share)}"
    return Table(tuple(columns), tuple(rows), caption)


def _elsewhere(winner: CellFindings, words: Words) -> Table:
    columns = (Column(words("use.prevalence"), True), Column(words("calibration.there"), True))
    rows = tuple(
        (words.percent(each["prevalence"], 0), words.number(each["threshold"]))
        for each in winner.test["calibration"]["elsewhere"]
    )
    return Table(columns, rows)


def _reliability(bins: list[Mapping[str, Any]], words: Words) -> Markup:
    """Return mean probability against share of pneumonia in bins of equally many films (ECE)."""

    def draw(axes: Axes) -> None:
        stated = [each["mean_probability"] for each in bins]
        shares = [each["share_positive"] for each in bins]
        axes.plot([0, 1], [0, 1], color=PALE, linewidth=1)
        axes.vlines(stated, [s["ci_low"] for s in shares], [s["ci_high"] for s in shares], GRAY)
        axes.plot(stated, [s["value"] for s in shares], "o", color=BLUE)
        axes.set(xlabel=words("chart.stated"), ylabel=words("chart.found"), **UNIT)

    return one(draw, (4.4, 4.3), words("chart.reliability"))


def _decision_chart(curve: Mapping[str, Any], words: Words) -> Captioned:
    prevalence = words.percent(curve["prevalence"], 0)
    name = f"decision_curve_{round(100 * curve['prevalence'])}"
    label = words("chart.decision", prevalence=prevalence)
    chart = one(lambda axes: _decision(axes, curve, words), (4.4, 3.6), label)
    return Captioned(name, chart, words("caption.decision", prevalence=prevalence))


def _decision(axes: Axes, curve: Mapping[str, Any], words: Words) -> None:
    at, top = np.array(curve["threshold"]), curve["prevalence"]
    axes.fill_between(at, curve["ci_low"], curve["ci_high"], color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(at, curve["net_benefit"], color=BLUE, linewidth=2, label=words("chart.model"))
    axes.plot(at, curve["treat_all"], color=ORANGE, dashes=(4, 2), label=words("chart.treat_all"))
    axes.axhline(0, color=INK, linewidth=0.8, label=words("chart.treat_none"))
    axes.set(xlim=(0, 1), ylim=(-0.3 * top, 1.08 * top))
    axes.set(xlabel=words("chart.threshold_probability"), ylabel=words("chart.net_benefit"))
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
