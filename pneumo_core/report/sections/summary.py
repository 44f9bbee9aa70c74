"""The first screen: which model won, how good it is, for what use, and whether to trust it."""

from pneumo_core.report.blocks import Block, Bullets, Fact, Facts, Paragraph, Subheading
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import external
from pneumo_core.report.sections.trust import answer, verdicts
from pneumo_core.report.sections.use import recommend
from pneumo_core.report.words import Words


def build(found: Findings, words: Words) -> list[Block]:
    blocks: list[Block] = []
    if found.data.is_phantom:
        blocks.append(Paragraph(words("summary.phantom", source=found.data.source), "note"))
    return [
        *blocks,
        Paragraph(_which(found, words)),
        _how_good(found, words),
        Subheading(words("summary.for_what")),
        Bullets(_for_what(found, words)),
        Subheading(words("summary.trust")),
        verdicts(answer(found), words),
    ]


def _which(found: Findings, words: Words) -> str:
    winner = found.winner
    test = {"n": winner.test["n"], "positive": words.count(winner.test["n_positive"])}
    if winner.val is None:
        given = words("summary.given", model=winner.name, **test)
        split = winner.test["split"]
        return given if split == "test" else f"{given} {words('summary.called_test', split=split)}"
    auroc = words.figure("auroc", winner.val["auroc"])
    choice = words.value("auroc", winner.choice_auroc)
    sentence = words(
        "summary.won", model=winner.name, n=len(found.cells), auroc=auroc, choice=choice
    )
    others = sorted(found.tied - {winner.name})
    if others:
        names = words.listed([f"`{name}`" for name in others])
        sentence += " " + words("summary.tied", n=len(others), names=names)
    return f"{sentence} {words('summary.measured', **test)} {words('summary.role')}"


def _how_good(found: Findings, words: Words) -> Facts:
    test = found.winner.test
    c = test["confusion"]
    counts = {
        "auroc": {},
        "accuracy": {"right": words.count(c["tp"] + c["tn"]), "all": words.count(test["n"])},
        "sensitivity": {
            "found": words.count(c["tp"]),
            "positive": words.count(c["tp"] + c["fn"]),
            "missed": words.count(c["fn"]),
        },
        "specificity": {
            "cleared": words.count(c["tn"]),
            "negative": words.count(c["tn"] + c["fp"]),
            "alarms": words.count(c["fp"]),
        },
    }
    return Facts(
        tuple(
            Fact(
                words(f"figure.{name}"),
                words.value(name, test[name]["value"]),
                (
                    words("summary.interval", interval=words.interval(name, test[name])),
                    words(f"summary.{name}_meaning", **values),
                ),
            )
            for name, values in counts.items()
        )
    )


def _for_what(found: Findings, words: Words) -> tuple[str, ...]:
    texts = []
    for recommendation in recommend(found):
        use = recommendation.use
        if not recommendation.cells:
            texts.append(words(f"use.no_{use}"))
            continue
        cell = recommendation.cells[0]
        point = cell.points[use]
        texts.append(
            words(
                f"summary.use_{use}",
                model=cell.name,
                threshold=words.number(point["threshold"]),
                sensitivity=words.figure("sensitivity", point["sensitivity"]),
                specificity=words.figure("specificity", point["specificity"]),
            )
        )
    return (*texts, *excluded(found, words), words("summary.not_for"))


def excluded(found: Findings, words: Words) -> list[str]:
    """Return on which films the model is of no use, however good its figures on test are."""
    texts = [words("summary.not_adults")] if found.data.is_public_archive else []
    judged = [external.judge(each, found.winner.test) for each in found.external]
    if failed := [each["name"] for each in judged if each["level"] == "bad"]:
        texts.append(words("summary.not_elsewhere", names=words.listed(failed)))
    return texts
