"""The report as a document: its sections in order, in one language."""

from collections.abc import Mapping
from dataclasses import dataclass

from pneumo_core.charts import Captioned
from pneumo_core.data import manifest
from pneumo_core.report.blocks import Block, Charts, Document, Section
from pneumo_core.report.data_figures import balance, class_imbalance
from pneumo_core.report.film_figures import Measured, gray_values, samples
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import (
    beside_study,
    calibration,
    cases,
    data,
    external,
    limits,
    models,
    occlusion,
    provenance,
    robustness,
    shortcuts,
    subgroups,
    summary,
    use,
    winner,
)
from pneumo_core.report.sections.cases import Shown
from pneumo_core.report.sections.study import compare
from pneumo_core.report.words import Words


@dataclass(frozen=True)
class Pictures:
    """Pictures of films, made once for all languages; None where there are none."""

    shown: Shown | None
    training: Measured | None = None


def write(found: Findings, pictures: Pictures, words: Words) -> Document:
    built = _sections(found, pictures, words)
    names = frozenset(built) | {"limits", "provenance"}
    built["limits"] = limits.build_limits(found, words)
    built["checklist"] = limits.build_checklist(names, words)
    built["provenance"] = provenance.build(found, words)
    sections = tuple(
        Section(name, words(f"{name}.title"), tuple(blocks))
        for name, blocks in built.items()
        if blocks
    )
    return Document(words.language, words("page.title"), words("page.use"), sections)


def charts_of(document: Document) -> list[Captioned]:
    return [
        chart
        for section in document.sections
        for block in section.blocks
        if isinstance(block, Charts)
        for chart in block.charts
    ]


def _sections(found: Findings, pictures: Pictures, words: Words) -> dict[str, list[Block]]:
    sections = {
        "summary": summary.build(found, words),
        "data": data.build(found.data, _data_figures(found, pictures, words), words),
        "models": models.build(found, words),
        "winner": winner.build(found, words),
        "use": use.build(found, words),
        "cases": cases.build(pictures.shown, found, words),
        "calibration": calibration.build(found.winner, words),
        "subgroups": subgroups.build(found.winner, words),
    }
    if found.external:
        sections["external"] = external.build(found, words)
    if found.robustness is not None:
        sweep = _brightness_sweep(found)
        sections["robustness"] = robustness.build(
            found.robustness, found.audited_split, sweep, words
        )
    if found.occlusion is not None:
        sections["occlusion"] = occlusion.build(found.occlusion, found.audited_split, words)
    if found.audit is not None:
        sections["shortcuts"] = shortcuts.build(found.audit, found.winner.name, words)
    if found.winner.val is not None:
        sections["study"] = beside_study.build(compare(found), words)
    return {name: blocks for name, blocks in sections.items() if blocks}


def _data_figures(found: Findings, pictures: Pictures, words: Words) -> Mapping[str, Captioned]:
    counts = manifest.count_steps(found.data.table, "label")
    drawn = []
    if found.data.num_augmented is not None:
        drawn += [class_imbalance(counts, words)]
        drawn += [balance(counts, found.data.num_augmented, words)]
    if pictures.training is not None:
        drawn += [samples(pictures.training, words), gray_values(pictures.training, words)]
    return {figure.name: figure for figure in drawn}


def _brightness_sweep(found: Findings) -> Mapping[str, Mapping[str, Mapping[str, float]]] | None:
    checks = (found.audit or {}).get(found.winner.name, ())
    for check in checks:
        if check["name"] == "flip_rate":
            sweep: Mapping[str, Mapping[str, Mapping[str, float]]] = check["detail"]["figures"]
            return sweep
    return None
