"""Probabilities from logits: what validation can show, and no more."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pneumo_core.arrays import Floats, Ints
from pneumo_core.metrics.platt import calibrated, fit_platt, slope_at_bound

HALF = np.arange(400) % 2


def logits_of(labels: Ints, weight: float = 1.0, noise: float = 1.0, seed: int = 0) -> Floats:
    """As training with class weights 1 : `weight` leaves them: shifted by its logarithm."""
    true = np.random.default_rng(seed).normal(2.0 * labels - 1, noise)
    return 2 * true / noise**2 + np.log(weight)


@pytest.mark.parametrize(("slope", "intercept"), [(0.5, -2.0), (1.0, 0.0), (3.0, 1.0)])
def test_slope_and_intercept_are_recovered(slope: float, intercept: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 20_000)
    labels = (rng.uniform(size=len(logits)) < expit(slope * logits + intercept)).astype(np.int64)
    assert fit_platt(labels, logits) == pytest.approx((slope, intercept), rel=0.06, abs=0.06)


def test_fit_is_that_of_scikit_learn() -> None:
    """Smoothed targets are each film once as either class, weighted."""
    logits, n = logits_of(HALF), len(HALF) // 2
    targets = np.where(HALF == 1, (n + 1) / (n + 2), 1 / (n + 2))
    reference = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.r_[logits, logits][:, None],
        np.r_[np.ones_like(HALF), np.zeros_like(HALF)],
        np.r_[targets, 1 - targets],
    )
    expected = (reference.coef_[0, 0], reference.intercept_[0])
    assert fit_platt(HALF, logits) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("weight", [1.0, 1.5, 3.0])
def test_class_weights_of_training_leave_the_mean_at_a_half(weight: float) -> None:
    """A temperature alone gave .53 at 1 : 1.5 and .60 at 1 : 3."""
    logits = logits_of(HALF, weight)
    probabilities = calibrated(logits, *fit_platt(HALF, logits))
    assert probabilities.mean() == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("num_films", [20, 80, 400])
def test_validation_that_is_separated_states_no_more_than_its_targets(num_films: int) -> None:
    """On average over a class: n films without an error show (n + 1) / (n + 2)."""
    labels, n = HALF[:num_films], num_films // 2
    logits = logits_of(labels, noise=0.3)
    assert logits[labels == 0].max() < logits[labels == 1].min()
    slope, intercept = fit_platt(labels, logits)
    most = (n + 1) / (n + 2)
    validation = calibrated(logits, slope, intercept)
    assert validation[labels == 1].mean() <= most + 1e-3
    assert validation[labels == 0].mean() >= 1 - most - 1e-3
    # Test films that fall between the classes, on the wrong side, are not stated as certain.
    between = np.linspace(logits[labels == 0].max(), logits[labels == 1].min(), 50)
    found = calibrated(between, slope, intercept)
    assert found.max() <= most
    assert found.min() >= 1 - most


def test_order_is_never_turned() -> None:
    """Where validation finds none, the slope is at its bound, and that can be told."""
    logits = logits_of(HALF)
    slope, _ = fit_platt(1 - HALF, logits)
    assert slope > 0
    assert slope_at_bound(slope, logits)
    assert not slope_at_bound(fit_platt(HALF, logits)[0], logits)
    slope, intercept = fit_platt(HALF, np.full(400, 7.0))
    assert calibrated(np.array([7.0]), slope, intercept)[0] == pytest.approx(0.5)
