"""The section on external sets: the winner's figures on films from elsewhere, beside test."""

from collections.abc import Mapping
from typing import Any

from pneumo_core.charts import Captioned
from pneumo_core.report.blocks import (
    Block,
    Bullets,
    Cell,
    Charts,
    Column,
    Level,
    Number,
    Paragraph,
    Table,
)
from pneumo_core.report.charts import ForestRow, forest
from pneumo_core.report.findings import ExternalSet, Findings, Metrics
from pneumo_core.report.words import EN_DASH, Estimate, Words

FIGURES = ("auroc", "sensitivity", "specificity")
CHANCE = 0.5  # an AUROC
MAX_REFUSED = 0.02  # of films, by the lower bound; films like those of training: about 0.005
MAX_WIDTH = 0.10  # of the interval of an AUROC that shows something


def judge(each: ExternalSet, test: Metrics) -> dict[str, Any]:
    """Return the level of one set, its figures and the name of the text that goes with them.

    Good takes a narrow interval: few films hide a fall.
    """
    figures = {name: each.metrics[name] for name in FIGURES}
    auroc, refused = figures["auroc"], each.metrics["refused"]["share"]
    fallen = any(figure["ci_high"] < test[name]["value"] for name, figure in figures.items())
    level: Level = "good"
    text = "figures"
    if not each.is_external:
        level, text = "open", "shared"
    elif auroc["ci_low"] <= CHANCE:
        level, text = "bad", "chance"
    elif fallen or refused["ci_low"] > MAX_REFUSED:
        level = "caution"
    elif auroc["ci_high"] - auroc["ci_low"] > MAX_WIDTH:
        level, text = "open", "few"
    found = {"name": each.name, "level": level, "text": text, "n": each.metrics["n"]}
    return found | figures | {"refused": refused, "shared": each.described["shared"]}


def sentence(judged: Mapping[str, Any], on_test: Estimate, words: Words) -> str:
    """Return what `judge` found of one set, with the AUROC on test beside it."""
    shared = judged["shared"].values()
    return words(
        f"external.{judged['text']}",
        name=judged["name"],
        n=judged["n"],
        test=words.figure("auroc", on_test),
        refused=words.figure("fpr", judged["refused"]),
        films=words.count(sum(counts["films"] for counts in shared)),
        patients=words.count(sum(counts["patients"] for counts in shared)),
        **{name: words.figure(name, judged[name]) for name in FIGURES},
    )


def build(found: Findings, words: Words) -> list[Block]:
    return [
        Paragraph(words("external.meaning")),
        table(found, words),
        Charts(tuple(_chart(found, name, words) for name in FIGURES)),
        _points(found, words),
        Bullets(tuple(_details(each, words) for each in found.external)),
    ]


def table(found: Findings, words: Words) -> Table:
    columns = [Column(words("external.set"))]
    columns += [Column(words(f"external.{name}"), True) for name in ("n", "n_positive", "patients")]
    columns += [Column(words(f"figure.{name}"), True) for name in FIGURES]
    columns += [Column(words("external.refused"), True)]
    rows: list[tuple[Cell, ...]] = [
        (words("split.test"), *_cells(found.winner.test, words), EN_DASH)
    ]
    for each in found.external:
        share = each.metrics["refused"]["share"]
        refused = Number(words.figure("fpr", share), share["value"])
        rows.append((_name(each, words), *_cells(each.metrics, words), refused))
    return Table(tuple(columns), tuple(rows), words("external.caption"), frozenset({0}))


def _name(each: ExternalSet, words: Words) -> str:
    return each.name if each.is_external else words("external.not_external", name=each.name)


def _cells(metrics: Metrics, words: Words) -> tuple[Number, ...]:
    counts = [metrics[name] for name in ("n", "n_positive", "n_patients")]
    return (
        *(Number(words.count(count), count) for count in counts),
        *(Number(words.figure(name, metrics[name]), metrics[name]["value"]) for name in FIGURES),
    )


def _chart(found: Findings, name: str, words: Words) -> Captioned:
    test = words("split.test")
    rows = [ForestRow(test, {test: found.winner.test[name]}, True)]
    rows += [ForestRow(each.name, {test: each.metrics[name]}) for each in found.external]
    figure = words(f"figure.{name}")
    label = words("chart.forest_external", figure=figure)
    drawn = forest(rows, name, label, words, found.winner.test[name]["value"])
    return Captioned(f"external_{name}", drawn, words("caption.external", figure=figure))


def _points(found: Findings, words: Words) -> Table:
    """Return sensitivity and specificity at every operating point of the bundle."""
    names = FIGURES[1:]
    columns = [Column(words("use.point")), Column(words("external.set"))]
    columns += [Column(words("use.threshold"), True)]
    columns += [Column(words(f"figure.{name}"), True) for name in names]
    measured = {words("split.test"): found.winner.test}
    measured |= {_name(each, words): each.metrics for each in found.external}
    rows: list[tuple[Cell, ...]] = []
    for point in found.winner.points:
        for name, metrics in measured.items():
            at = metrics["operating_points"][point]
            figures = [Number(words.figure(each, at[each]), at[each]["value"]) for each in names]
            rows.append((words(f"point.{point}"), name, words.number(at["threshold"]), *figures))
    return Table(tuple(columns), tuple(rows), words("external.points_caption"))


def _details(each: ExternalSet, words: Words) -> str:
    files, patients = each.described["files"], each.described["patients"]
    text = words(
        "external.counted",
        name=each.name,
        source=each.source,
        files=words.count(sum(files.values())),
        unusable=words.count(files.get("quarantined", 0)),
        duplicates=words.count(files.get("duplicate", 0)),
        known=words.count(patients["known"]),
        n=int(patients["films"]),
    )
    return f"{text} {_drift(each, words)}"


def _drift(each: ExternalSet, words: Words) -> str:
    if not each.drift:
        return words("external.not_compared")
    drifted = [figure["kind"] for figure in each.drift if figure["drifted"]]
    if not drifted:
        return words("external.alike")
    kinds = words.listed([words(f"external.{kind}") for kind in dict.fromkeys(drifted)])
    return words("external.drifted", kinds=kinds)
