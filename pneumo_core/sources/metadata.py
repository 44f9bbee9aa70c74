"""What else is known of a film: age, sex, view, site, scanner, or another column or tag.

`ingest.metadata` names what is kept. A source hands on its text; here it is spelled in one way, and
what cannot be an age, a sex or a view is not known. Nothing that identifies a patient is kept.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from pneumo_core.data.manifest import MAX_AGE_YEARS
from pneumo_core.errors import SourceError
from pneumo_core.sources.names import safe
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import SourceFile

STANDARD = ("age", "sex", "view", "site", "scanner")
MISSING = {"", "nan", "na", "n/a", "#n/a", "none", "null", "nil", "unknown", "unk", "-", "?"}

_AGE = re.compile(
    r"[<>≥≤]?\s*(?P<number>\d+(?:[.,]\d+)?)\s*\+?\s*"
    r"(?:(?P<years>y|yrs?|years?|yo|세|살)|(?P<months>m|mos?|months?|개월)|(?P<weeks>w|wks?|weeks?|주)"
    r"|(?P<days>d|days?|일))?(?:\s*old)?"
)
_PER_YEAR = {"years": 1, "months": 12, "weeks": 365.25 / 7, "days": 365.25}
_SEXES = {
    **dict.fromkeys(("f", "female", "woman", "women", "girl", "w", "여", "여자", "여성"), "F"),
    **dict.fromkeys(("m", "male", "man", "men", "boy", "남", "남자", "남성"), "M"),
}
# What is in the table for another purpose, or names a film or a patient
_RESERVED = {"path", "label", "split", "subtype", "patient", "image", "file", "filename"}
_IDENTIFYING_WORDS = {
    *("name", "names", "surname", "forename", "initials", "person", "relative"),
    *("id", "ids", "uid", "uids", "mrn", "ssn", "number", "numbers", "nr", "identifier"),
    *("accession", "birth", "birthday", "birthdate", "dob", "date", "datetime", "time"),
    *("address", "phone", "telephone", "mobile", "fax", "email", "mail", "zip", "postcode"),
    *("passport", "insurance", "comment", "comments", "report", "text"),
    *("physician", "physicians", "operator", "operators"),
}
_IDENTIFYING_PARTS = (
    *("patientid", "patientname", "birth", "accession", "firstname", "lastname", "fullname"),
    *("medicalrecord", "recordnumber", "telephone", "insurance", "instanceuid", "이름", "성명"),
    *("생년", "주민", "번호", "주소", "전화", "연락처"),
)
_HARMLESS_NAMES = {
    *("institutionname", "institutionaldepartmentname", "manufacturermodelname"),
    *("classname", "labelname", "findingname", "diseasename", "diagnosisname"),
}


def require_harmless(names: Iterable[str], key: str) -> None:
    """Check names of columns or tags that shall be kept.

    Raises:
        SourceError: one of them identifies patients or films, or is no metadata; it names `key`.
    """
    for name in names:
        if not name.strip() or name.strip().casefold() in _RESERVED:
            raise SourceError(f"{key}: {name!r} is not metadata of a film: remove it.")
        require_unidentifying(name, key)


def require_unidentifying(name: str, key: str) -> None:
    """Raise SourceError, which names `key`, if a column or tag can identify a patient."""
    if identifies(name):
        raise SourceError(f"{key}: {name!r} can identify a patient and is never kept: remove it.")


def identifies(name: str) -> bool:
    """Return whether the values of a column or tag of this name can identify a patient."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    words = re.findall(r"[^\W_]+", spaced.casefold())
    joined = "".join(words)
    if joined in _HARMLESS_NAMES:
        return False
    parts = any(part in joined for part in _IDENTIFYING_PARTS)
    return parts or not _IDENTIFYING_WORDS.isdisjoint(words)


def is_missing(text: str) -> bool:
    """Return whether a cell or tag is empty or holds a word for it."""
    return text.strip().casefold() in MISSING


def years(text: str) -> str | None:
    """Return an age in years: of `58`, DICOM's `058Y` and `006M`, `6 months`, `58세`, `90+`."""
    match = _AGE.fullmatch(text.strip().casefold())
    if match is None:
        return None
    unit = next((unit for unit in _PER_YEAR if match[unit]), "years")
    age = float(match["number"].replace(",", ".")) / _PER_YEAR[unit]
    return f"{round(age, 2):g}" if age <= MAX_AGE_YEARS else None


def sex(text: str) -> str | None:
    """Return F or M; other values and numbers, whose meaning differs, are not known."""
    return _SEXES.get(text.strip().casefold())


SPELLINGS: Mapping[str, Callable[[str], str | None]] = {"age": years, "sex": sex, "view": str.upper}


def require_given(files: Sequence[SourceFile], asked: Iterable[str]) -> None:
    """Raise SourceError if no film has a name of metadata that is not standard."""
    given = {name for file in files for name in file.metadata}
    if unknown := [name for name in asked if name not in given | set(STANDARD)]:
        raise SourceError(
            f"ingest.metadata: no film has {', '.join(unknown)}, only "
            f"{', '.join(sorted(given)) or 'nothing'}: no column or DICOM tag is called so; "
            "correct or remove it."
        )


def keep_metadata(file: SourceFile, asked: Sequence[str], notes: Notes) -> SourceFile:
    """Return the file with the metadata that was asked for, spelled in one way."""
    known = {}
    for name in asked:
        text = " ".join(file.metadata.get(name, "").split())
        if is_missing(text):
            continue
        value = SPELLINGS.get(name, str)(text)
        if value is None:
            notes.count(f"not known: {name} of {{}} films (not a possible {name})")
        else:
            known[name] = safe(value)
    return replace(file, metadata=known)
