"""Whether the winner reads the lungs: its AUROC with regions of the film covered."""

from collections.abc import Mapping
from typing import Any

from pneumo_core.report.blocks import Block, Column, Level, Number, Paragraph, Table
from pneumo_core.report.words import Words


def level(found: Mapping[str, Any]) -> Level:
    levels: dict[bool | None, Level] = {True: "good", None: "caution", False: "bad"}
    return levels[found["reads_lungs"]]


def texts(found: Mapping[str, Any], words: Words) -> dict[str, str]:
    """Return the figures of the answer as the language writes them."""
    regions = found["regions"]
    return {
        "whole": words.figure("auroc", found["unaltered"]),
        "without": words.figure("auroc", regions["lungs"]["auroc"]),
        "alone": words.figure("auroc", regions["all_but_lungs"]["auroc"]),
    }


def build(found: Mapping[str, Any], split: str, words: Words) -> list[Block]:
    answer = words(f"trust.lungs_{level(found)}", **texts(found, words))
    meaning = words("occlusion.meaning", n=found["n"], split=words.split(split))
    columns = [Column(words("occlusion.covered"))]
    numbers = ("occlusion.area", "figure.auroc", "occlusion.loss")
    columns += [Column(words(name), True) for name in numbers]
    rows: list[tuple[str | Number, ...]] = [
        (words("occlusion.nothing"), words.percent(0), *_figure(found["unaltered"], words), "")
    ]
    rows += [
        (
            words(f"occlusion.{name}"),
            words.percent(region["area"]),
            *_figure(region["auroc"], words),
            *_figure(region["loss"], words),
        )
        for name, region in found["regions"].items()
    ]
    return [
        Paragraph(answer),
        Paragraph(meaning),
        Table(tuple(columns), tuple(rows)),
        Paragraph(words("occlusion.atlas"), "quiet"),
    ]


def _figure(figure: Mapping[str, float], words: Words) -> tuple[Number]:
    return (Number(words.figure("auroc", figure), figure["value"]),)
