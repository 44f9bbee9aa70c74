"""The model card, for a person who receives the bundle (Mitchell et al. 2019)."""

from pneumo_core.report.blocks import Block, Bullets, Document, Paragraph, assemble
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import (
    external,
    limits,
    provenance,
    subgroups,
    summary,
    use,
    winner,
)
from pneumo_core.report.sections.trust import answer, verdicts
from pneumo_core.report.words import Words


def write(found: Findings, words: Words) -> Document:
    model = found.winner.description
    shared = {"size": model.image_size_px, "weights": model.origin.pretrained.origin}
    if model.members:
        members = words.listed(member.name for member in model.members)
        details = words("card.described_committee", members=members, **shared)
    else:
        strategy = words(f"strategy.{model.strategy}")
        details = words(
            "card.described", architecture=model.architecture, strategy=strategy, **shared
        )
    groups = found.winner.test["subgroups"]
    sections: dict[str, list[Block]] = {
        "details": [Paragraph(details)],
        "use": [Bullets(_uses(found, words))],
        "figures": winner.figures(found, words),
        "points": [
            use.points_table(found.winner, words),
            use.per_1000_table(found.winner, words),
        ],
        "groups": [subgroups.table(groups, words)]
        if groups
        else [Paragraph(words("subgroups.unknown"))],
        "external": [external.table(found, words)] if found.external else [],
        "trust": [verdicts(answer(found), words)],
        "limits": limits.build_limits(found, words),
        "provenance": provenance.build(found, words),
    }
    return assemble(words, "card", sections, model=found.winner.name)


def _uses(found: Findings, words: Words) -> tuple[str, ...]:
    points = found.winner.points
    missing = [words(f"use.no_{name}") for name in use.CHOSEN_BY if name not in points]
    general = (words(f"card.{name}") for name in ("users", "uses", "misuses"))
    return (*general, *missing, *summary.excluded(found, words))
