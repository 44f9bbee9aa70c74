"""Calibration apart from prevalence, against statsmodels; films ranked where probabilities tie."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit

from pneumo_core.evaluation.measurement import Rule, measure
from pneumo_core.metrics.calibration import calibration_figures
from pneumo_core.metrics.intervals import auroc
from pneumo_core.metrics.metrics import Scores
from pneumo_core.models.bundle import OperatingPoint
from pneumo_core.params import EvaluateParams
from pneumo_core.promotion import policy as policies
from pneumo_core.promotion.gates import figure_gates

MLFLOW = Path(__file__).parents[3] / "mlflow"
PARAMS = EvaluateParams(num_draws=200)
HALF = Rule({"reading_aid": OperatingPoint(0.5, 0.5, 0.5)}, "reading_aid", prevalence=0.5)


def calibrated(prevalence: float, num_films: int = 4000, seed: int = 0) -> Scores:
    """Films of a model whose probabilities hold where half of the films show pneumonia."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(num_films) < prevalence * num_films).astype(np.int64)
    logits = rng.normal(4.5 * (2 * labels - 1), 3)
    return Scores(labels, expit(logits), np.arange(num_films).astype(np.str_), logits)


@pytest.mark.slow
@pytest.mark.parametrize("prevalence", [0.05, 0.3, 0.62])
def test_prevalence_is_no_fault_of_calibration(prevalence: float) -> None:
    """At 5 % the error over all films is .1; at the films' own prevalence it is none."""
    scores = calibrated(prevalence)
    metrics = measure(scores, pd.DataFrame(index=range(len(scores.labels))), HALF, "test", PARAMS)
    own = metrics["calibration"]["at_own_prevalence"]
    assert own["ece"]["ci_high"] < 0.02
    if prevalence == 0.05:
        assert metrics["ece"]["value"] > 0.02
    for name, perfect in (("calibration_intercept", 0), ("calibration_slope", 1)):
        assert metrics[name]["ci_low"] < perfect < metrics[name]["ci_high"]
    policy = policies.load(MLFLOW / "roles" / "champion.yaml")
    assert all(gate.passed for gate in figure_gates(metrics, policy))


def test_slope_and_intercept_are_those_of_statsmodels() -> None:
    """Patients as clusters; the interval by Student's t is a little wider than the normal one."""
    rng = np.random.default_rng(1)
    stated = rng.normal(0, 2, 400)
    labels = (rng.uniform(size=400) < expit(0.3 + 0.8 * stated)).astype(np.int64)
    patients = np.arange(400) // 2
    found = calibration_figures(Scores(labels, expit(stated), patients.astype(np.str_)), None)
    alone = np.ones((400, 1))
    for name, inputs, offset in (
        ("calibration_slope", np.c_[stated, alone], None),
        ("calibration_intercept", alone, stated),
    ):
        model = sm.GLM(labels, inputs, family=sm.families.Binomial(), offset=offset)
        expected = model.fit(
            cov_type="cluster", cov_kwds={"groups": patients, "use_correction": False}
        )
        assert found[name]["value"] == pytest.approx(expected.params[0], abs=1e-6)
        assert found[name]["ci_low"] == pytest.approx(expected.conf_int()[0, 0], abs=0.005)
        assert found[name]["ci_high"] == pytest.approx(expected.conf_int()[0, 1], abs=0.005)


def test_films_that_are_separated_have_no_slope_and_certain_ones_no_infinity() -> None:
    labels = np.repeat([0, 1], 20)
    scores = Scores(labels, np.repeat([0.0, 1.0], 20), np.arange(40).astype(np.str_))
    found = calibration_figures(scores, None)
    assert found["calibration_slope"] is None
    assert np.isfinite(list(found["calibration_intercept"].values())).all()


def test_another_prevalence_moves_the_intercept_where_none_is_known() -> None:
    scores = calibrated(0.05)
    found = calibration_figures(scores, None)["calibration_intercept"]["value"]
    assert found == pytest.approx(logit(0.05), abs=0.4)


def test_films_are_ranked_by_logits_where_probabilities_round_to_one() -> None:
    labels = np.arange(40) % 2
    logits = 50.0 + labels + np.linspace(0, 0.5, 40)
    scores = Scores(labels, expit(logits), np.arange(40).astype(np.str_))
    assert set(scores.probabilities) == {1.0}
    assert auroc(scores).value == 0.5
    assert auroc(replace(scores, logits=logits)).value == 1.0
    assert auroc(replace(scores, logits=logits).part(labels >= 0)).value == 1.0
