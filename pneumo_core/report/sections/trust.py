"""Whether to trust the winner: questions that rules answer from the findings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pneumo_core.data.leakage import NOT_VALID, PATIENTS_UNKNOWN
from pneumo_core.report.blocks import Level, Verdict, Verdicts
from pneumo_core.report.findings import Findings
from pneumo_core.report.sections import calibration, data, external, occlusion, shortcuts, subgroups
from pneumo_core.report.sections.external import CHANCE, MAX_REFUSED
from pneumo_core.report.sections.robustness import worst_kind
from pneumo_core.report.words import Words

WORST_FIRST: tuple[Level, ...] = ("bad", "caution", "open", "good")
MAX_LOST = 0.10  # of balanced accuracy, by the worst kind of corruption
MAX_FALL = 0.10  # of a figure from validation to test, by its upper bound


@dataclass(frozen=True)
class Answer:
    """An answer; the catalogue puts it into words under `trust.{name}_{level}`."""

    name: str
    level: Level
    values: Mapping[str, Any]


def answer(found: Findings) -> list[Answer]:
    """Return the answers, the most important question first."""
    return [
        _leaks(found),
        _shortcuts(found),
        _source(found),
        _shift(found),
        _calibration(found),
        _groups(found),
        _corruption(found),
        _lungs(found),
        _maps(found),
        _outside(found) if found.winner.val else _elsewhere(found),
    ]


def _leaks(found: Findings) -> Answer:
    certificate = found.data.certificate
    if certificate is None:
        return Answer("leaks", "open", {})
    if certificate["state"] == NOT_VALID:
        return Answer("leaks", "bad", {"certificate": certificate})
    if certificate["state"] == PATIENTS_UNKNOWN:
        patients = certificate["patients"]
        unknown = patients["films"] - patients["known"]
        return Answer("leaks_unknown", "open", {"unknown": unknown, "all": patients["films"]})
    films = set(found.winner.predictions["image_id"])
    possible = films.intersection(certificate["lists"]["possible_across_splits"])
    values = {"certificate": certificate, "possible": len(possible), "all": len(films)}
    return Answer("leaks", "caution" if possible else "good", values)


def _shortcuts(found: Findings) -> Answer:
    if found.audit is None:
        return Answer("shortcuts", "open", {})
    checks = [
        check
        for subject, check in shortcuts.checks_of(found.audit, found.winner.name)
        if subject != "data"
    ]
    beyond = [check for check in checks if check["passed"] is False]
    unclear = [check for check in checks if check["passed"] is None]
    level: Level = "bad" if beyond else "caution" if unclear else "good"
    return Answer("shortcuts", level, {"all": len(checks), "checks": beyond or unclear})


def _source(found: Findings) -> Answer:
    if found.audit is None:
        return Answer("source", "open", {})
    cues = {c["name"]: c["figure"] for c in found.audit["data"] if c["passed"] is False}
    return Answer("source", "caution" if cues else "good", {"cues": cues})


def _shift(found: Findings) -> Answer:
    """Whether sensitivity and specificity on test reach those on validation."""
    val, test = found.winner.val, found.winner.test
    if val is None:
        return Answer("shift", "open", {})
    pairs = {name: (val[name]["value"], test[name]) for name in ("sensitivity", "specificity")}
    falls = {name: _fall(val[name], test[name]) for name in pairs}
    fallen = {name: pair for name, pair in pairs.items() if falls[name][0] > 0}
    if not fallen and max(high for _, high in falls.values()) > MAX_FALL:
        return Answer("shift_few", "open", {"pairs": pairs})
    return Answer("shift", "caution" if fallen else "good", {"pairs": fallen or pairs})


def _fall(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[float, float]:
    """Return the interval of a figure's fall, by MOVER for different patients."""
    fall = before["value"] - after["value"]
    least = math.hypot(before["value"] - before["ci_low"], after["ci_high"] - after["value"])
    most = math.hypot(before["ci_high"] - before["value"], after["value"] - after["ci_low"])
    return fall - least, fall + most


def _calibration(found: Findings) -> Answer:
    test = found.winner.test
    return Answer("calibration", calibration.level(test), test)


def _groups(found: Findings) -> Answer:
    """The worst answer of all dimensions; good needs all of them, age and sex among them."""
    answers = subgroups.answer(found.winner)
    level = min((each.level for each in answers), key=WORST_FIRST.index)
    return Answer("groups", level, {"answers": [e for e in answers if e.level == level]})


def _corruption(found: Findings) -> Answer:
    if found.robustness is None:
        return Answer("corruption", "open", {})
    kind, lost = worst_kind(found.robustness)
    level: Level = "caution" if lost > MAX_LOST else "good"
    return Answer("corruption", level, {"kind": kind, "lost": lost})


def _lungs(found: Findings) -> Answer:
    if found.occlusion is None:
        return Answer("lungs", "open", {})
    return Answer("lungs", occlusion.level(found.occlusion), found.occlusion)


def _maps(found: Findings) -> Answer:
    if found.saliency is None:
        return Answer("maps", "open", {})
    return Answer("maps", "good" if found.saliency["passed"] else "bad", {})


def _outside(found: Findings) -> Answer:
    """How the model does on the external sets; the worst of them decides."""
    if not found.external:
        return Answer("outside", "open", {})
    test = found.winner.test
    sets = [external.judge(each, test) for each in found.external]
    level = min((each["level"] for each in sets), key=WORST_FIRST.index)
    return Answer("external", level, {"sets": sets, "auroc": test["auroc"]})


def _elsewhere(found: Findings) -> Answer:
    """How the model does on films from outside the pipeline, and how many it would refuse.

    Likeness does not show that it works elsewhere: the films may come from the model's own place.
    """
    auroc, refused = found.winner.test["auroc"], found.winner.test["refused"]
    level: Level = "open"
    if auroc["ci_low"] <= CHANCE:
        level = "bad"
    elif refused["share"]["ci_low"] > MAX_REFUSED:
        level = "caution"
    return Answer("elsewhere", level, {"auroc": auroc, "refused": refused["share"]})


def verdicts(answers: list[Answer], words: Words) -> Verdicts:
    return Verdicts(
        tuple(
            Verdict(
                each.level,
                words(f"trust.{each.name}"),
                words(f"trust.{each.name}_{each.level}", **_values(each, words)),
            )
            for each in answers
        ),
        {level: words(f"trust.mark_{level}") for level in WORST_FIRST},
    )


def _values(each: Answer, words: Words) -> dict[str, str]:
    """Return the values as the language writes them."""
    values = each.values
    match each.name:
        case "leaks" if values:
            return {
                "faults": "; ".join(data.faults(values["certificate"], words)),
                **{name: words.count(values.get(name, 0)) for name in ("possible", "all")},
            }
        case "leaks_unknown":
            return {name: words.count(value) for name, value in values.items()}
        case "shortcuts" if values:
            return shortcuts.texts(values, words)
        case "source" if values:
            return shortcuts.cue_texts(values, words)
        case "shift" | "shift_few" if values:
            texts = [
                words(
                    "trust.promised",
                    figure=words(f"figure.{name}"),
                    val=words.percent(val),
                    test=words.figure(name, test),
                )
                for name, (val, test) in values["pairs"].items()
            ]
            limit = words("unit.points", value=f"{100 * MAX_FALL:.0f}")
            return {"pairs": words.listed(texts), "limit": limit}
        case "calibration":
            return calibration.texts(values, words)
        case "groups":
            return _group_texts(each.level, values["answers"], words)
        case "elsewhere":
            refused = words.figure("fpr", values["refused"])
            return {"auroc": words.figure("auroc", values["auroc"]), "refused": refused}
        case "external":
            return {
                "sets": " ".join(
                    external.sentence(each, values["auroc"], words) for each in values["sets"]
                )
            }
        case "lungs" if values:
            return occlusion.texts(values, words)
        case "corruption" if values:
            kind = words(f"corruption.{values['kind']}")
            return {"kind": kind, "lost": words("unit.points", value=f"{100 * values['lost']:.1f}")}
        case _:
            return {}


def _group_texts(level: Level, answers: Sequence[subgroups.Answer], words: Words) -> dict[str, str]:
    def names(*reasons: str) -> str:
        chosen = [each for each in answers if each.reason in reasons]
        return ", ".join(subgroups.dimension_name(each.dimension, words) for each in chosen)

    if level == "open":
        named = {
            "not_known": names("not_known"),
            "left_out": names("left_out"),
            "too_few": names("few", "wide", "coin"),
        }
        texts = [words(f"trust.groups_{why}", names=each) for why, each in named.items() if each]
    else:
        texts = [
            words(
                "subgroups.group",
                dimension=subgroups.dimension_name(each.dimension, words),
                group=subgroups.sentence(each, words),
            )
            for each in answers
        ]
    limit = subgroups.limit(words)
    return {"texts": " ".join(texts), "names": names("alike"), "limit": limit}
