"""Figures, counts and settings of the study (in Korean).

The study gives no intervals. Its sensitivity and specificity imply the counts on its 618 test
films, which agree with its accuracy exactly; the counts give the intervals.
"""

from typing import Any

from pneumo_core.metrics.metrics import Confusion

NUM_POSITIVE, NUM_NEGATIVE = 387, 231

# True positives and true negatives on test of the cells that the study gives in full (its 4.1).
CELLS = {
    "densenet121-partial": (377, 162),
    "densenet121-frozen": (384, 152),
    "resnet50-frozen": (368, 152),
}
BEST = "densenet121-partial"
MODELS = ("efficientnet_b0", "densenet121", "convnext_tiny", "resnet50")

# The cell that it calls overfitted; the architecture that it calls consistent, and its range of
# accuracy over the strategies (its 4.3).
OVERFITTED = "resnet50-partial"
CONSISTENT, CONSISTENT_RANGE = "efficientnet_b0", (0.798, 0.806)

# Its chapter 2: films by label, NORMAL then PNEUMONIA.
COUNTS = {
    "duplicates_train": (1, 25),
    "duplicates_test": (3, 3),
    "validation": (508, 508),
    "training": (5850, 5850),
    "test": (231, 387),
}

SETTINGS: dict[str, Any] = {
    "image_size_px": 512,
    "resize_rule": "pad",  # its mean gray is .363, as with padding, and not .483
    "optimizer": "adam",
    "schedule": "step",
    "batch_size": 16,
    "class_weights": [1.0, 1.5],
    "lr": {"frozen": 1e-3, "partial": 1e-4, "full": 1e-5},
    "epochs": {"frozen": 10, "partial": 15, "full": 20},
    "recipe": "study_brightness_rotation",
    "models": list(MODELS),
    "test_films": NUM_POSITIVE + NUM_NEGATIVE,
}


def study_confusion(cell: str) -> Confusion:
    tp, tn = CELLS[cell]
    return Confusion(tp=tp, fp=NUM_NEGATIVE - tn, tn=tn, fn=NUM_POSITIVE - tp)
