"""The section on the data: counts, certificate, quarantine, charts."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pneumo_core.charts import Captioned
from pneumo_core.data import manifest
from pneumo_core.data.leakage import Certificate
from pneumo_core.report.blocks import Block, Bullets, Charts, Column, Paragraph, Subheading, Table
from pneumo_core.report.findings import DataFindings
from pneumo_core.report.words import Words

COUNTS = ("files", "quarantined", "duplicate", "moved", "used")


def build(data: DataFindings, figures: Mapping[str, Captioned], words: Words) -> list[Block]:
    """Return the section; `figures` holds charts by name, and missing ones are left out."""
    counts = manifest.count_steps(data.table, "label")
    blocks: list[Block] = [
        Paragraph(
            words(
                "data.came",
                n=int(counts["files"].sum()),
                used=words.count(int(counts["used"].sum())),
                source=data.source,
            )
        ),
        _table(counts, data, words),
    ]
    blocks += _charts(figures, "class_imbalance", "balance_before_and_after")
    if data.certificate is not None:
        blocks += [Subheading(words("data.certificate")), *_certificate(data.certificate, words)]
    quarantined = data.in_state(manifest.QUARANTINED)
    if len(quarantined):
        reasons = quarantined["reason"].value_counts().sort_index().items()
        blocks += [
            Subheading(words("data.quarantined_why")),
            Bullets(tuple(words("data.reason", n=int(n), reason=reason) for reason, n in reasons)),
        ]
    blocks += _charts(figures, "samples_per_class")
    blocks += _charts(figures, "gray_values_per_class")
    return blocks


def _table(counts: pd.DataFrame, data: DataFindings, words: Words) -> Table:
    def row(names: tuple[str, str], numbers: Any, in_training: str) -> tuple[str, ...]:
        return (*names, *(words.count(int(numbers[column])) for column in COUNTS), in_training)

    augmented = data.num_augmented is not None
    rows = []
    for each in counts[counts["files"] + counts["used"] > 0].to_dict("records"):
        in_training = words("data.as_it_is")
        if data.num_augmented is not None and each["split"] == "train":
            in_training = words.count(data.num_augmented[each["label"]])
        names = (words.split(each["split"]), words(f"label.{each['label']}"))
        rows.append(row(names, each, in_training))
    rows.append(row((words("data.all"), ""), counts[list(COUNTS)].sum(), ""))
    columns = [Column(words("data.split")), Column(words("data.class"))]
    columns += [Column(words(f"data.{name}"), numeric=True) for name in (*COUNTS, "augmented")]
    width = len(columns) if augmented else len(columns) - 1
    return Table(
        tuple(columns[:width]),
        tuple(each[:width] for each in rows),
        strong_rows=frozenset({len(rows) - 1}),
    )


def faults(certificate: Certificate, words: Words) -> list[str]:
    """Return what is to be mended in the source; films in no split are no fault of it."""

    def written(fault: Mapping[str, Any]) -> str:
        named = {"split": words.split(fault["split"])} if "split" in fault else {}
        return words(f"certificate.fault_{fault['kind']}", **{**fault, **named})

    return [written(each) for each in certificate["faults"] if each["kind"] != "not_split"]


def who_and_how(certificate: Certificate, words: Words) -> list[Block]:
    """Return who is known on the films, and who made the test split."""
    patients = certificate["patients"]
    return [
        Paragraph(
            words(
                "data.known_patients",
                known=words.count(patients["known"]),
                films=words.count(patients["films"]),
                rules=", ".join(patients["rules"]) or words("data.no_rule"),
                patients=words.count(patients["num_patients"]),
            )
        ),
        Paragraph(_test_split(certificate["split_origin"], words)),
    ]


def _certificate(certificate: Certificate, words: Words) -> list[Block]:
    near, patients = certificate["near_duplicates"], certificate["patients"]
    verdict = certificate["state"].replace(" ", "_")
    shared = words(
        "data.patients",
        confirmed=words.count(patients["confirmed_across_splits"]),
        possible=words.count(patients["possible_across_splits"]),
    )
    if patients["possible_across_splits"]:
        shared += " " + words("data.without_patients")
    pinned = "data.pinned" if certificate["pinned_test_split_hash"] else "data.not_pinned"
    return [
        *who_and_how(certificate, words),
        Paragraph(words(f"data.{verdict}", faults="; ".join(faults(certificate, words)))),
        Bullets(
            (
                words("data.duplicates_meant"),
                words(
                    "data.near",
                    n=near["groups"],
                    across=words.count(near["groups_across_splits"]),
                ),
                shared,
                words(pinned, digest=certificate["test_split_hash"][:16]),
                words("data.certificate_page"),
            )
        ),
    ]


def _test_split(origin: Mapping[str, Any], words: Words) -> str:
    if origin["made_by"] != "pneumo":
        return words(f"data.test_by_{origin['made_by']}", **origin)
    size = words("data.fraction", share=f"{origin['fraction']:.0%}")
    if origin["per_class"] is not None:
        size = words("data.per_class", n=origin["per_class"])
    names = {name: f"data.stratum_{name}" for name in ("label", *origin["strata"])}
    strata = [words(key) if words.has(key) else name for name, key in names.items()]
    return words("data.test_by_pneumo", size=size, strata=", ".join(strata))


def _charts(figures: Mapping[str, Captioned], *names: str) -> list[Block]:
    there = tuple(figures[name] for name in names if name in figures)
    return [Charts(there)] if there else []
