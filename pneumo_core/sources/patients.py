"""Who is on a film, as far as its name tells.

Two strengths of evidence: films with one `key` are *confirmed* to be one patient, films with
one `group` are *possibly* one. `person12_bacteria_46` and `person12_virus_22` share a group, not
a key: nothing proves that the archive's authors numbered the two pathogens together.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

PERSON = re.compile(r"person(?P<number>\d+)_(?P<pathogen>bacteria|virus)_\d+", re.IGNORECASE)
SERIES = re.compile(r"(?P<prefix>NORMAL2-)?IM-(?P<number>\d+)-\d+", re.IGNORECASE)


@dataclass(frozen=True)
class Patient:
    key: str
    group: str
    rule: str
    subtype: str | None = None


def identify(image_id: str) -> Patient:
    """The patient behind a film's name; a film without a known rule is a patient of its own."""
    name = PurePosixPath(image_id).name
    if match := PERSON.match(name):
        person = f"person{int(match['number'])}"
        pathogen = match["pathogen"].lower()
        return Patient(f"{person}_{pathogen}", person, "person_pathogen", pathogen)
    if match := SERIES.match(name):
        series = f"{(match['prefix'] or '').upper()}IM-{int(match['number']):04d}"
        return Patient(series, series, "im_series")
    return Patient(image_id, image_id, "own_film")
