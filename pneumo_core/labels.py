"""The two classes and the splits."""

LABELS = ("NORMAL", "PNEUMONIA")
POSITIVE = LABELS.index("PNEUMONIA")
SPLITS = ("train", "val", "test")
UNSPLIT = "all"  # of a film that its source puts into no split; the stage split deals it


def canonical(value: object) -> str:
    """Return a value of a table or the name of a folder for comparing: 1.0 is 1, Normal normal."""
    text = str(value).strip().casefold()
    return text[: -len(".0")] if text.endswith(".0") and text[:-2].lstrip("-").isdigit() else text
