"""The two classes and the three splits."""

LABELS = ("NORMAL", "PNEUMONIA")
POSITIVE = LABELS.index("PNEUMONIA")
SPLITS = ("train", "val", "test")
