"""Metadata in DICOM headers: which tags are read for which name, and which never."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pneumo_core.errors import SourceError
from pneumo_core.sources.dicom_pixels import read_header

Tags = Mapping[str, Sequence[str]]  # keywords by the name of the metadata

STANDARD: Tags = {
    "age": ("PatientAge",),
    "sex": ("PatientSex",),
    "view": ("ViewPosition",),
    "site": ("InstitutionName",),
    "scanner": ("Manufacturer", "ManufacturerModelName"),
}
# Short texts and numbers; names (PN), dates, UIDs, free texts and binary values are not kept.
KEPT_TYPES = {"AS", "CS", "DS", "FD", "FL", "IS", "LO", "SH", "SL", "SS", "UL", "US"}


def tags(asked: Sequence[str]) -> Tags:
    """Return the keywords for the names of metadata; a name that is no keyword has none.

    Raises:
        SourceError: a name is the keyword of a tag that is never kept.
    """
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    found: dict[str, Sequence[str]] = {}
    for name in asked:
        if name in STANDARD:
            found[name] = STANDARD[name]
        elif tag := tag_for_keyword(name):
            if not KEPT_TYPES.issuperset(dictionary_VR(tag).split(" or ")):
                raise SourceError(
                    f"ingest.metadata: the DICOM tag {name} is a name, date, identifier or free "
                    "text and is never kept: remove it."
                )
            found[name] = (name,)
    return found


def read_tags(header: Any, wanted: Tags) -> dict[str, str]:
    """Return the text of the tags by the name of the metadata; an empty one is left out."""
    texts = {
        name: " ".join(filter(None, (_text(header, keyword) for keyword in keywords)))
        for name, keywords in wanted.items()
    }
    return {name: text for name, text in texts.items() if text}


def read_tag(path: Path, keyword: str) -> str:
    """Return the text of one tag of a file; empty if it is not DICOM or has no such tag."""
    try:
        with warnings.catch_warnings():  # warnings quote the header
            warnings.simplefilter("ignore")
            return _text(read_header(path, [keyword], pixels=False), keyword)
    except Exception:  # whatever a damaged header causes
        return ""


def _text(header: Any, keyword: str) -> str:
    try:
        value = header.get(keyword)
    except Exception:  # a value is converted as it is asked for, and may be damaged
        return ""
    return "" if value is None else str(value).strip()
