"""The audit reads the model that is served: its precision, its views, its threshold."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumo_core.arrays import Gray, Images
from pneumo_core.audit.audit import audit_cell
from pneumo_core.audit.counterfactuals import SHIFTS, shift
from pneumo_core.audit.shortcuts import Check
from pneumo_core.data.images import resize
from pneumo_core.data.views import VIEWS
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.params import AuditParams

PARAMS = AuditParams(num_draws=100)
NUM_FILMS = 40


@pytest.fixture
def scorer(small_bundle: Path) -> Scorer:
    """A bundle that is served with three views."""
    loaded = Scorer.load(small_bundle)
    return Scorer(loaded.engine, loaded.description.model_copy(update={"views": VIEWS[:3]}))


@pytest.fixture(scope="module")
def images(small_film: Callable[[int], Gray]) -> Images:
    return np.stack([resize(small_film(number), 64) for number in range(600, 600 + NUM_FILMS)])


@pytest.fixture(scope="module")
def table(make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    labels = ("NORMAL", "PNEUMONIA")
    return make_table(f"val/{labels[i % 2]}/{i}.jpeg" for i in range(NUM_FILMS))


def _threshold(scorer: Scorer) -> float:
    return scorer.description.operating_points["reading_aid"].threshold


def _by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_audit_scores_as_the_bundle_does(
    scorer: Scorer, images: Images, table: pd.DataFrame
) -> None:
    threshold = _threshold(scorer)
    found = _by_name(audit_cell(scorer, threshold, table, images, PARAMS))
    served = scorer.probabilities(scorer.logits(images)) >= threshold
    accuracy = (served == (table["label"] == "PNEUMONIA")).mean()
    assert found["flip_rate"].detail["figures"]["+0.00"]["accuracy"].value == accuracy
    logits_SN = np.stack([scorer.logits(shift(images, np.full(NUM_FILMS, by))) for by in SHIFTS])
    slope = 0.1 * np.polyfit(SHIFTS, logits_SN.mean(1), 1)[0]
    assert found["brightness_slope"].figure.value == pytest.approx(slope, rel=1e-4)
