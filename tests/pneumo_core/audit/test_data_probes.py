"""A cue in pictures, files or metadata is found, one AUROC each; what is no cue is not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pneumo_core.arrays import Gray
from pneumo_core.audit.data_probes import probe_data
from pneumo_core.audit.shortcuts import Check
from pneumo_core.labels import LABELS
from pneumo_core.params import AuditParams

NUM_FILMS = 240
LIMITS = AuditParams(num_draws=100)


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    labels = np.arange(NUM_FILMS) % 2
    age = np.array([str(a) for a in rng.integers(20, 90, NUM_FILMS)], object)
    age[:20] = None
    return pd.DataFrame(
        {
            "label": [LABELS[label] for label in labels],
            "split": np.where(np.arange(NUM_FILMS) % 4 < 3, "train", "val"),
            "state": "kept",
            "patient_group": [f"p{n}" for n in range(NUM_FILMS)],
            "packed_row": np.arange(NUM_FILMS),
            "colour_mode": "L",
            "file_bytes": rng.integers(1000, 2000, NUM_FILMS),
            "jpeg_quality": pd.array([None] * NUM_FILMS, "Int32"),
            "meta_age": age,
            "meta_sex": rng.choice(["F", "M"], NUM_FILMS),
            "meta_view": np.where(rng.random(NUM_FILMS) < 0.3 + 0.4 * labels, "AP", "PA"),
        }
    )


@pytest.fixture
def images(film: Callable[..., Gray]) -> Any:
    return np.stack([film(seed, 32, 32) // 2 + 60 for seed in range(NUM_FILMS)])


def _found(table: pd.DataFrame, images: Any) -> dict[str, Check]:
    return {check.name: check for check in probe_data(table, images, LIMITS)}


def test_the_view_tells_the_label_and_the_age_does_not(table: pd.DataFrame, images: Any) -> None:
    found = _found(table, images)
    assert found["meta_view_auroc"].passed is False
    assert all(found[f"{name}_auroc"].passed is not False for name in ("meta_age", "meta_sex"))
    assert all(found[f"{name}_auroc"].passed is not False for name in ("brightness", "file_bytes"))
    assert {check.subject for check in found.values()} == {"data"}
    assert "colour_mode_auroc" not in found  # all are the same


def test_brightness_and_borders_are_told_apart(table: pd.DataFrame, images: Any) -> None:
    bright = images.copy()
    bright[1::2] += 30
    assert _found(table, bright)["brightness_auroc"].passed is False
    framed = images.copy()
    framed[1::2, :, :2] = 0
    assert _found(table, framed)["borders_auroc"].passed is False


def test_missing_values_are_a_cue_of_their_own(table: pd.DataFrame, images: Any) -> None:
    table["meta_age"] = table["meta_age"].where(table["label"] == LABELS[0])
    assert _found(table, images)["meta_age_auroc"].passed is False


def test_test_is_not_read(table: pd.DataFrame, images: Any) -> None:
    table.loc[table["label"] == LABELS[1], "split"] = "test"
    found = _found(table, images)["brightness_auroc"]
    assert found.figure is None
    assert "patients of each class" in found.reason
