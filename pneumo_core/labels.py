"""The two classes and the splits."""

LABELS = ("NORMAL", "PNEUMONIA")
POSITIVE = LABELS.index("PNEUMONIA")
SPLITS = ("train", "val", "test")
UNSPLIT = "all"  # of a film that its source puts into no split; the stage split deals it
