"""The patient of a film: by the source's own column or tag, or by a rule about file names.

Two strengths of evidence: films with one `key` are *confirmed* to show one patient, films with one
`group` *possibly* do. `person12_bacteria_46` and `person12_virus_22` share a group, not a key:
nothing proves that the archive's authors numbered the two pathogens together.

A film to which no rule applies has an *unknown* patient. Its key and group are its own place,
but nothing shows that no other film is of the same patient.

Numbers are compared as a spreadsheet may have changed them: 00012, 12 and 12.0 are one patient, and
so are ab1 and AB1. Words that anonymisers write name nobody, nor does one number for most films.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pneumo_core.labels import canonical

UNKNOWN = "unknown"
NOBODY = {
    *("", "anon", "anonym", "anonymous", "anonymized", "anonymised", "deidentified"),
    *("de-identified", "removed", "redacted", "none", "na", "n/a", "no id", "unknown", "xxx"),
}
MIN_STUDIES = 3  # of most films of a source under one number, which then names nobody

PERSON = re.compile(r"person(?P<number>\d+)_(?P<pathogen>bacteria|virus)_\d+", re.IGNORECASE)
SERIES = re.compile(r"(?P<prefix>NORMAL2-)?IM-(?P<number>\d+)-\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Patient:
    key: str
    group: str
    rule: str
    subtype: str | None = None


NameRule = Callable[[str], Patient | None]


def canonical_id(text: str) -> str:
    """Return a patient's number or name for comparing."""
    same = canonical(text).upper()
    return same.lstrip("0") or "0" if same.isdigit() else same


def names_nobody(text: str) -> bool:
    """Return whether a patient's number is empty or a word such as ANONYMOUS."""
    return canonical(text) in NOBODY


def number_of_nobody(films: Iterable[tuple[str, str]]) -> str | None:
    """Return the number, if there is one, under which most films stand in several studies.

    `films`: the patient's number and the study of each film; the film's own name where no study is
    known. Films without a number do not count.
    """
    counts: Counter[str] = Counter()
    studies = defaultdict(set)
    for patient, study in films:
        if not names_nobody(patient):
            counts[patient] += 1
            studies[patient].add(study)
    for patient, count in counts.most_common(1):
        if count > counts.total() / 2 and len(studies[patient]) >= MIN_STUDIES:
            return patient
    return None


def unknown(place: str, subtype: str | None = None) -> Patient:
    return Patient(place, place, UNKNOWN, subtype)


def kermany(name: str) -> Patient | None:
    """Patient by a name of the public archive of children's films (Kermany et al. 2018)."""
    name = PurePosixPath(name).name
    if match := PERSON.match(name):
        person = f"person{int(match['number'])}"
        pathogen = match["pathogen"].lower()
        return Patient(f"{person}_{pathogen}", person, "kermany", pathogen)
    if match := SERIES.match(name):
        series = f"{(match['prefix'] or '').upper()}IM-{int(match['number']):04d}"
        return Patient(series, series, "kermany")
    return None


def by_pattern(rule: str, pattern: str) -> NameRule:
    """Make a rule of a regular expression whose group `patient` is the patient's number.

    Raises:
        re.error: it is no regular expression.
        ValueError: it has no group of that name.
    """
    compiled = re.compile(pattern)
    if "patient" not in compiled.groupindex:
        raise ValueError(f"{pattern!r} has no group (?P<patient>...)")

    def patient_of(name: str) -> Patient | None:
        match = compiled.search(name)
        if match is None or not match["patient"]:
            return None
        key = f"{rule}:{canonical_id(match['patient'])}"
        return Patient(key, key, rule)

    return patient_of


PUBLIC_RULES: Mapping[str, NameRule] = {  # their numbers mean the same wherever the films come from
    "kermany": kermany,
    "nih": by_pattern("nih", r"(?:^|/)(?P<patient>\d{8})_\d{3}\.\w+$"),
    "chexpert": by_pattern("chexpert", r"(?:^|/)patient(?P<patient>\d+)[/_]study\d+[/_]"),
    "mimic": by_pattern("mimic", r"(?:^|/)p(?P<patient>\d{8})/s\d{8}/"),
}
