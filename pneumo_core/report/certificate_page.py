"""The leakage certificate as a page: the verdict, what the splits share, the counts, the films."""

from collections.abc import Mapping
from typing import Any

from pneumo_core.data.leakage import NOT_VALID, PATIENTS_UNKNOWN, VALID, Certificate
from pneumo_core.report.blocks import (
    Block,
    Bullets,
    Column,
    Definitions,
    Document,
    Level,
    Paragraph,
    Subheading,
    Table,
    Verdict,
    Verdicts,
    assemble,
)
from pneumo_core.report.sections import data
from pneumo_core.report.words import Words

NUM_LISTED = 20
LEVEL_OF: Mapping[str, Level] = {VALID: "good", NOT_VALID: "bad", PATIENTS_UNKNOWN: "caution"}


def write(certificate: Certificate, source: str, words: Words) -> Document:
    sections: dict[str, list[Block]] = {
        "verdict": _verdict(certificate, words),
        "shared": [_shared(certificate, words), *_label_conflicts(certificate, words)],
        "steps": [Paragraph(words("certificate.law"), "quiet"), _steps(certificate, words)],
        "films": _films(certificate, words),
        "what": [_what(certificate, source, words)],
    }
    return assemble(words, "certificate", sections)


def _verdict(certificate: Certificate, words: Words) -> list[Block]:
    state = certificate["state"]
    faults = data.faults(certificate, words)
    key = state.replace(" ", "_") if faults or not certificate["faults"] else "not_split"
    level = LEVEL_OF[state]
    marks = {each: words(f"certificate.mark_{each}") for each in LEVEL_OF.values()}
    blocks: list[Block] = [
        Verdicts(
            (Verdict(level, words("certificate.question"), words(f"certificate.{key}")),), marks
        )
    ]
    if faults:
        blocks.append(Bullets(tuple(faults)))
    return [*blocks, *data.who_and_how(certificate, words)]


def _shared(certificate: Certificate, words: Words) -> Table:
    def groups(kind: str) -> tuple[str, str, str]:
        found = certificate[kind]
        return (
            words(f"certificate.{kind}"),
            words("certificate.groups", groups=found["groups"], extra=found["extra_files"]),
            words.count(found["groups_across_splits"]),
        )

    patients = certificate["patients"]
    return Table(
        (
            Column(words("certificate.what_shared")),
            Column(words("certificate.found"), numeric=True),
            Column(words("certificate.across"), numeric=True),
        ),
        (
            groups("exact_duplicates"),
            groups("near_duplicates"),
            *(
                (
                    words(f"certificate.patients_{strength}"),
                    "",
                    words.count(patients[f"{strength}_across_splits"]),
                )
                for strength in ("confirmed", "possible")
            ),
            (
                words("certificate.both_labels"),
                words.count(certificate["label_conflicts_in_use"]),
                "",
            ),
        ),
    )


def _label_conflicts(certificate: Certificate, words: Words) -> list[Block]:
    number = certificate["label_conflicts"]
    conflicts = [Paragraph(words("certificate.conflicts", n=number), "quiet")] if number else []
    return [*conflicts, Paragraph(words("certificate.patients_meant"), "quiet")]


def _steps(certificate: Certificate, words: Words) -> Table:
    names = ("split", "class", "subtype")
    return Table(
        (
            *(Column(words(f"certificate.column_{name}")) for name in names),
            *(Column(words(f"data.{name}"), numeric=True) for name in data.COUNTS),
        ),
        tuple(
            (
                words.split(row["split"]),
                words(f"label.{row['label']}") if row["label"] else "",
                words(f"subtype.{row['subtype']}") if row["subtype"] else "",
                *(words.count(row[name]) for name in data.COUNTS),
            )
            for row in certificate["steps"]
        ),
    )


def _films(certificate: Certificate, words: Words) -> list[Block]:
    """Return the first films of each list; the certificate itself has them all."""
    blocks: list[Block] = []
    for name, entries in certificate["lists"].items():
        if not entries:
            continue
        shown = tuple(map(_entry, _pairs(entries)[:NUM_LISTED]))
        more = len(entries) - len(shown)
        rest = (words("certificate.more", number=words.count(more)),) if more else ()
        title = words(f"certificate.list_{name}", number=words.count(len(entries)))
        blocks += [Subheading(title), Bullets((*shown, *rest))]
    return blocks


def _pairs(entries: Any) -> list[Any]:
    return list(entries.items()) if isinstance(entries, Mapping) else list(entries)


def _entry(entry: str | tuple[str, str] | list[str]) -> str:
    """Return one film, a film with its reason, or a group of films."""
    match entry:
        case str():
            return f"`{entry}`"
        case (film, reason) if isinstance(entry, tuple):
            return f"`{film}`: {reason}"
        case films:
            return ", ".join(f"`{film}`" for film in films)


def _what(certificate: Certificate, source: str, words: Words) -> Definitions:
    pinned = certificate["pinned_test_split_hash"]
    return Definitions(
        (
            (words("certificate.source"), source),
            (words("certificate.data_sha256"), f"`{certificate['data_sha256']}`"),
            (
                words("certificate.test_split_hash"),
                f"`{certificate['test_split_hash']}`"
                + ("" if pinned else f" ({words('certificate.not_pinned')})"),
            ),
            (words("certificate.version"), certificate["pneumo_version"]),
        )
    )
