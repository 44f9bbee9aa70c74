"""The sections on limits and on the items of three reporting guidelines.

The numbers are those of STARD 2015 (the basis of STARD-AI 2025), CLAIM 2020 (Mongan et al.) and
TRIPOD+AI 2024 (Collins et al.). The pipeline answers an item in full, in part, or not: a person
must write the open ones.
"""

from dataclasses import dataclass
from typing import Literal

from pneumo_core.labels import LABELS
from pneumo_core.report.blocks import Block, Bullets, Column, Paragraph, Table
from pneumo_core.report.findings import ARCHIVE, Findings
from pneumo_core.report.words import EN_DASH, Words

State = Literal["answered", "partly", "open"]


@dataclass(frozen=True)
class Item:
    name: str
    stard: str
    claim: str
    tripod: str
    state: State
    where: str = ""  # the section that answers it


ITEMS = (
    Item("purpose", "3", "3", "3a, 3b", "partly", "summary"),
    Item("objectives", "4", "4, 6", "4", "partly", "summary"),
    Item("design", "5", "5", "4", "open"),
    Item("sources", "8", "7", "5a, 6a", "partly", "data"),
    Item("dates", "8", "7", "5b", "open"),
    Item("eligibility", "6, 7, 9", "8", "6b", "open"),
    Item("preparation", "10a", "9, 10", "7", "answered", "data"),
    Item("deidentification", "", "12", "", "partly", "data"),
    Item("missing", "15, 16", "13", "11", "answered", "data"),
    Item("reference", "10b, 11", "14, 15", "8a", "open"),
    Item("readers", "13b", "16, 17, 18", "8b, 8c", "open"),
    Item("sample_size", "18", "19", "10", "partly", "winner"),
    Item("partitions", "", "20, 21", "12a", "answered", "data"),
    Item("imbalance", "", "9", "13", "answered", "data"),
    Item("model", "10a", "22, 24", "12c, 22", "answered", "provenance"),
    Item("software", "", "23", "18f", "answered", "provenance"),
    Item("training", "", "25", "12c", "answered", "provenance"),
    Item("selection", "", "26", "12c", "answered", "models"),
    Item("ensembling", "", "27", "12c", "answered", "provenance"),
    Item("thresholds", "12a", "28", "15", "answered", "use"),
    Item("measures", "14", "28, 29", "12e", "answered", "winner"),
    Item("robustness", "17", "30", "12e", "answered", "robustness"),
    Item("explainability", "", "31", "12e", "answered", "cases"),
    Item("external", "", "32", "16, 27c", "answered", "external"),
    Item("flow", "19", "33", "20a, 21", "answered", "data"),
    Item("characteristics", "20", "34", "20b", "open"),
    Item("performance", "23, 24", "35, 36", "23a", "answered", "winner"),
    Item("calibration", "24", "36", "23a", "answered", "calibration"),
    Item("failures", "", "37", "23a", "answered", "cases"),
    Item("groups", "17", "34", "14, 23b", "partly", "subgroups"),
    Item("utility", "27", "39", "12e", "answered", "calibration"),
    Item("limitations", "26", "38", "26", "partly", "limits"),
    Item("poor_input", "15", "", "27a", "partly", "robustness"),
    Item("users", "27", "39", "27b", "open"),
    Item("ethics", "", "", "17", "open"),
    Item("registration", "28, 29", "40, 41", "18c, 18d", "open"),
    Item("sharing", "29", "41", "18e, 18f", "partly", "provenance"),
    Item("funding", "30", "42", "18a, 18b", "open"),
    Item("involvement", "", "", "19", "open"),
)


def states(sections: frozenset[str]) -> dict[str, State]:
    """Return the state of each item; an item whose section is missing is open."""
    there = {"", *sections}
    return {item.name: item.state if item.where in there else "open" for item in ITEMS}


def build_limits(found: Findings, words: Words) -> list[Block]:
    num_sources = found.data.table["origin"].nunique()
    source = "one_source" if num_sources == 1 else "several_sources"
    elsewhere = "external" if found.external else "not_elsewhere"
    names = [source, elsewhere, "labels_own", "not_prospective", "seeds", "tested"]
    if found.winner.val is None:
        names = ["given", "labels_own", "not_prospective"]
    elif found.data.is_public_archive:
        part = [] if found.data.has_all_of_archive("test") else ["archive_part"]
        names = ["archive_children", "archive_shift", *part, source, elsewhere, "labels"]
        names += ["not_prospective", "seeds", "figures_not_decisions"]
    counts = {
        "here": found.data.num_files("test"),
        "all": sum(ARCHIVE[f"test/{label}"] for label in LABELS),
        "num_sources": num_sources,
    }
    return [Bullets(tuple(words(f"limits.{name}", **counts) for name in names))]


def build_checklist(sections: frozenset[str], words: Words) -> list[Block]:
    state_of = states(sections)
    columns = tuple(
        Column(words(f"checklist.{name}"))
        for name in ("item", "state", "where", "stard", "claim", "tripod")
    )
    rows = tuple(
        (
            words(f"item.{item.name}"),
            words(f"checklist.{state_of[item.name]}"),
            words(f"{item.where}.title") if state_of[item.name] != "open" else "",
            *(numbers or EN_DASH for numbers in (item.stard, item.claim, item.tripod)),
        )
        for item in ITEMS
    )
    counts = {
        state: words.count(sum(each == state for each in state_of.values()))
        for state in ("answered", "partly", "open")
    }
    return [
        Paragraph(words("checklist.meaning")),
        Paragraph(words("checklist.counted", **counts)),
        Table(columns, rows),
    ]
