"""The two classes and the splits."""

import re
import unicodedata

LABELS = ("NORMAL", "PNEUMONIA")
POSITIVE = LABELS.index("PNEUMONIA")
SPLITS = ("train", "val", "test")
UNSPLIT = "all"  # of a film that its source puts into no split; the stage split deals it
MIN_FILMS, MIN_PATIENTS = 3, 2  # of each class, without which there are no figures


_WHOLE_NUMBER = re.compile(r"\+?(?P<number>-?\d+)(?:[.,]0*)?")


def canonical(value: object) -> str:
    """Return a value of a table or the name of a folder for comparing.

    Normal is normal, and 1.0, 1.00, `1,0` and +1 are 1. Letters composed of parts (macOS) or wide
    (Korean, Japanese) are the usual ones.
    """
    text = unicodedata.normalize("NFKC", str(value)).strip().casefold()
    match = _WHOLE_NUMBER.fullmatch(text)
    return match["number"] if match else text
