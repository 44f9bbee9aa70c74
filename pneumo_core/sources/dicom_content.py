"""What a DICOM header says that a file shows: a frontal chest film, or something else.

Headers of films without names often say nothing; what they leave out counts as a frontal chest
film, and is counted. No message quotes a value.
"""

import re
from typing import Any

CONTENT_TAGS = ["SOPClassUID", "Modality", "BodyPartExamined", "ViewPosition", "ViewCodeSequence"]

FILMS = {"CR", "DX"}  # Modality
_STORAGE = "1.2.840.10008.5.1.4.1.1"
# Computed radiography, digital X-ray for presentation and processing, secondary capture
_FILM_CLASSES = {f"{_STORAGE}.{number}" for number in ("1", "1.1", "1.1.1", "7", "7.2", "7.3")}
_DIRECTORY = "1.2.840.10008.1.3.10"

CHEST = {"CHEST", "THORAX", "TORAX", "LUNG", "LUNGS"}
FRONTAL = {"PA", "AP", "POSTEROANTERIOR", "ANTEROPOSTERIOR", "FRONTAL"}
_POSTURES = {"ERECT", "UPRIGHT", "STANDING", "SITTING", "SUPINE", "HORIZONTAL", "PORTABLE"}


def holds_no_image(header: Any) -> bool:
    """Return whether it is a report, a presentation state, a directory: no picture at all.

    The data set needs `CONTENT_TAGS` and `Rows`.
    """
    if str(header.file_meta.get("MediaStorageSOPClassUID") or "") == _DIRECTORY:
        return True
    return "Rows" not in header and _word(header, "Modality") not in FILMS | {""}


def why_not_a_frontal_chest_film(header: Any) -> str | None:
    """Return the reason, or None for a frontal chest film and where nothing says otherwise."""
    modality = _word(header, "Modality")
    film_class = str(header.get("SOPClassUID") or "") in _FILM_CLASSES | {""}
    if modality not in FILMS and (modality or not film_class):
        return "DICOM of another modality than CR and DX (Modality)"
    if (body_part := _words(header, "BodyPartExamined")) and not body_part & CHEST:
        return "DICOM of another body part than the chest (BodyPartExamined)"
    view = _view(header)
    if view and (not view & FRONTAL or view - FRONTAL - _POSTURES - CHEST):
        return "DICOM in another view than frontal, PA or AP (ViewPosition)"
    return None


def not_stated(header: Any) -> str:
    """Return what the header of a film leaves out, such as "body part, view", or nothing.

    Nothing also for a damaged header, or one that states something else than such a film.
    """
    try:
        if why_not_a_frontal_chest_film(header):
            return ""
        stated = {
            "modality": _word(header, "Modality"),
            "body part": _words(header, "BodyPartExamined"),
            "view": _view(header),
        }
    except Exception:  # a value is converted as it is asked for, and may be damaged
        return ""
    return ", ".join(name for name, value in stated.items() if not value)


def _view(header: Any) -> set[str]:
    """Return the words of the view, by its position or else by its code, as of most DX films."""
    if words := _words(header, "ViewPosition"):
        return words
    codes = header.get("ViewCodeSequence") or []
    return _words(codes[0], "CodeMeaning") if len(codes) else set()


def _word(header: Any, keyword: str) -> str:
    return str(header.get(keyword) or "").strip().upper()


def _words(header: Any, keyword: str) -> set[str]:
    joined = re.sub(r"(?<=[OA])[-_ ](?=ANTERIOR|POSTERIOR)", "", _word(header, keyword))
    return set(re.findall(r"[^\W_]+", joined))
