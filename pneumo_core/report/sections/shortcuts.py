"""The section on the shortcut audit of the data, the augmentation and the winner."""

from collections.abc import Mapping
from typing import Any

from pneumo_core.data.manifest import METADATA
from pneumo_core.report.blocks import Block, Column, Number, Paragraph, Table
from pneumo_core.report.words import Words

Check = Mapping[str, Any]  # of `audit.json`


def checks_of(audit: Mapping[str, Any], cell: str) -> list[tuple[str, Check]]:
    """Return (subject, check) for the checks of a cell, of the data and of the augmentation."""
    subjects = {"data": "data", "augmentation": "augmentation", cell: "model"}
    return [(subject, check) for name, subject in subjects.items() for check in audit[name]]


def check_name(name: str, words: Words) -> str:
    """Return a check in words; a column of metadata may have any name."""
    if name.startswith(METADATA):
        column = name.removeprefix(METADATA).removesuffix("_auroc")
        known = f"dimension.{column}"
        return words("check.column_auroc", column=words(known) if words.has(known) else column)
    return words(f"check.{name}")


def build(audit: Mapping[str, Any], cell: str, words: Words) -> list[Block]:
    blocks: list[Block] = [Paragraph(words("shortcuts.question"))]
    blocks += [Paragraph(text, "note") for text in _warnings(audit["lint"], words)]
    columns = [Column(words("shortcuts.of")), Column(words("shortcuts.what"))]
    columns += [Column(words(f"shortcuts.{name}"), True) for name in ("figure", "interval")]
    columns += [Column(words("shortcuts.limit"), True), Column(words("shortcuts.verdict"))]
    rows = tuple(_row(subject, check, words) for subject, check in checks_of(audit, cell))
    return [*blocks, Table(tuple(columns), rows), Paragraph(words("shortcuts.data_note"), "quiet")]


def _warnings(lint: Mapping[str, Any], words: Words) -> list[str]:
    dependent = lint["label_dependent"]
    texts = [
        words(
            "shortcuts.depends",
            what=name,
            values=", ".join(f"{words(f'label.{label}')} {v}" for label, v in values.items()),
        )
        for name, values in dependent.items()
    ]
    if len(lint["warnings"]) > len(dependent):
        texts.append(words("shortcuts.originals"))
    return texts


def texts(values: Mapping[str, Any], words: Words) -> dict[str, str]:
    """Return what the first screen says of the checks that are beyond their limits, or open."""
    listed = "; ".join(_described(check, words) for check in values["checks"])
    return {"all": words.count(values["all"]), "texts": listed}


def cue_texts(values: Mapping[str, Any], words: Words) -> dict[str, str]:
    """Return what the first screen says of cues in the data."""
    named = [
        f"{check_name(name, words)} {words.figure('auroc', figure)}"
        for name, figure in values["cues"].items()
    ]
    return {"names": words.listed(named or [""])}


def _described(check: Check, words: Words) -> str:
    """Return the name of a check with its figure and its limit."""
    value, interval, limit = _written(check, words)
    text = f"{value} ({interval}; {words('shortcuts.limit')} {limit})" if interval else value
    return f"{check_name(check['name'], words)} {text}"


def _written(check: Check, words: Words) -> tuple[str, str, str]:
    """Return value, interval and limit; without a figure there is no interval."""

    def show(value: float) -> str:
        return words.percent(value) if check["unit"] == "%" else words.number(value)

    figure, limit = check["figure"], f"{'±' if check['two_sided'] else ''}{show(check['limit'])}"
    if not figure:
        return words("shortcuts.not_computed"), "", limit
    interval = words.range(show(figure["ci_low"]), show(figure["ci_high"]))
    return show(figure["value"]), interval, limit


def _row(subject: str, check: Check, words: Words) -> tuple[str | Number, ...]:
    figure, detail = check["figure"], check["detail"]
    shown, interval, limit = _written(check, words)
    if "auroc_before" in detail:
        before, after = (
            words.number(detail[f"auroc_{when}"]["value"]) for when in ("before", "after")
        )
        shown += f" ({before} → {after})"
    passed = {True: "within", False: "beyond", None: "open"}[check["passed"]]
    return (
        words(f"shortcuts.{subject}"),
        check_name(check["name"], words),
        Number(shown, figure["value"]) if figure else shown,
        interval,
        limit,
        words(f"shortcuts.{passed}"),
    )
