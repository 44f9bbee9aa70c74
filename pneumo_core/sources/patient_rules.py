"""The rule that says who is on each film: stated in `ingest.patients`, or recognised."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from pneumo_core.errors import SourceError
from pneumo_core.sources.patients import (
    PUBLIC_RULES,
    UNKNOWN,
    Patient,
    by_pattern,
    canonical_id,
    unknown,
)
from pneumo_core.sources.source import SourceFile

AUTO, NONE, COLUMN, DICOM, PARENT_FOLDER = "auto", "none", "column", "dicom", "parent_folder"
NAMED = (AUTO, *PUBLIC_RULES, PARENT_FOLDER, COLUMN, DICOM, NONE)
MIN_SHARE = 0.5  # of the names of an origin that a rule must fit to be recognised

Rule = Callable[[SourceFile], Patient | None]


def name_patients(files: Sequence[SourceFile], rule: str) -> list[SourceFile]:
    """Return the files in the same order, each with its patient by the rule (see `NAMED`).

    `auto` takes what the source itself says, and else, for each origin, the public rule that most
    of its names fit. A film that the rule does not fit has an unknown patient.

    Raises:
        SourceError: the rule is neither a name nor a pattern, or it fits no film.
    """
    patient_of = _recognise(files) if rule == AUTO else _stated(rule)
    found = [replace(file, patient=patient_of(file) or _unknown(file)) for file in files]
    if rule not in (AUTO, NONE) and not any(_is_known(file) for file in found):
        example = f", such as {files[0].name}" if files else ""
        raise SourceError(
            f"ingest.patients: {rule} fits none of {len(files)} films{example}: state another "
            "rule, auto or none."
        )
    return found


def named(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Return the files as they are where all have a patient, and else named by `auto`."""
    return name_patients(files, AUTO) if any(f.patient is None for f in files) else list(files)


def _stated(rule: str) -> Rule:
    if rule == NONE:
        return lambda _: None
    if rule in (COLUMN, DICOM):
        return lambda file: file.patient if _given(file) == rule else None
    if rule in PUBLIC_RULES:
        return lambda file: _public(file, rule)
    if rule == PARENT_FOLDER:
        return _parent_folder
    try:
        in_name = by_pattern("pattern", rule)
    except re.error as error:
        raise SourceError(
            f"ingest.patients: {rule!r} is no regular expression: {error}."
        ) from error
    except ValueError as error:
        raise SourceError(f"ingest.patients: {error}; or one of {', '.join(NAMED)}.") from error
    return lambda file: _local(file, in_name(file.name))


def _recognise(files: Sequence[SourceFile]) -> Rule:
    names: dict[str, list[str]] = {}
    for file in files:
        if not _is_known(file):
            names.setdefault(file.origin, []).append(file.name)
    rules = {origin: _fitting(of_origin) for origin, of_origin in names.items()}

    def patient_of(file: SourceFile) -> Patient | None:
        if _is_known(file):
            return file.patient
        rule = rules[file.origin]
        return None if rule is None else _public(file, rule)

    return patient_of


def _fitting(names: Sequence[str]) -> str | None:
    """Return the public rule that most of the names fit, if it fits enough of them."""
    fits = {
        rule: sum(patient_of(name) is not None for name in names)
        for rule, patient_of in PUBLIC_RULES.items()
    }
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] >= MIN_SHARE * len(names) else None


def _is_known(file: SourceFile) -> bool:
    return file.patient is not None and file.patient.rule != UNKNOWN


def _given(file: SourceFile) -> str | None:
    return None if file.patient is None else file.patient.rule


def _public(file: SourceFile, rule: str) -> Patient | None:
    """Patient by a rule whose numbers mean the same in every origin, unless it has its own ids."""
    patient = PUBLIC_RULES[rule](file.name)
    if patient is None:
        return None
    subtype = _subtype(file) or patient.subtype
    return Patient(_own(file, patient.key), _own(file, patient.group), rule, subtype)


def _parent_folder(file: SourceFile) -> Patient | None:
    parent = PurePosixPath(file.name).parent
    if parent.name and str(parent) != file.origin:  # `several` puts each origin into a folder
        folder = canonical_id(parent.name)
        return _local(file, Patient(folder, folder, PARENT_FOLDER))
    return None


def _local(file: SourceFile, patient: Patient | None) -> Patient | None:
    """Equal numbers of two origins are possibly one patient."""
    if patient is None:
        return None
    key, group = f"{file.origin}/{patient.key}", _own(file, patient.group)
    return Patient(key, group, patient.rule, _subtype(file))


def _own(file: SourceFile, name: str) -> str:
    return f"{file.id_space}/{name}" if file.id_space else name


def _unknown(file: SourceFile) -> Patient:
    """A weaker link that the source gave, such as DICOM's study, stays."""
    if file.patient is not None and file.patient.rule == UNKNOWN:
        return file.patient
    return unknown(file.place, _subtype(file))


def _subtype(file: SourceFile) -> str | None:
    return None if file.patient is None else file.patient.subtype
