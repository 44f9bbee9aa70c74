"""Platt scaling: probabilities from logits by a slope and an intercept, fitted on validation.

The targets are smoothed by one film more of each class (Platt 1999), so that the slope stays finite
where validation separates the classes (ADR 23).
"""

import numpy as np
from scipy.special import expit

from pneumo_core.arrays import Floats, Ints

MIN_SLOPE = 0.01  # in log odds by standard deviation of the logits: the order is never turned


def fit_platt(labels: Ints, logits: Floats) -> tuple[float, float]:
    """Return slope and intercept of the log odds with the least cross entropy on validation."""
    num_positive = int(labels.sum())
    targets = np.where(
        labels == 1, (num_positive + 1) / (num_positive + 2), 1 / (len(labels) - num_positive + 2)
    )
    spread = float(logits.std()) or 1.0
    inputs = np.stack([logits / spread, np.ones_like(logits)])
    slope, intercept = fit_logistic(inputs, targets, np.zeros_like(logits))
    if slope < MIN_SLOPE:
        slope = MIN_SLOPE
        (intercept,) = fit_logistic(inputs[1:], targets, slope * inputs[0])
    return float(slope / spread), float(intercept)


def slope_at_bound(slope: float, logits: Floats) -> bool:
    """Whether validation found no order in the logits, so that the slope is the least allowed."""
    return slope * (float(logits.std()) or 1.0) <= MIN_SLOPE * (1 + 1e-9)


def calibrated(logits: Floats, slope: float, intercept: float) -> Floats:
    probabilities: Floats = expit(slope * logits + intercept)
    return probabilities


def fit_logistic(inputs_PN: Floats, targets_N: Floats, offset_N: Floats) -> Floats:
    """Return the P coefficients of the log odds, beside an offset, with the least cross entropy."""

    def log_odds(coefficients: Floats) -> Floats:
        odds: Floats = coefficients @ inputs_PN + offset_N
        return odds

    def loss(coefficients: Floats) -> float:
        found = log_odds(coefficients)
        return float((np.logaddexp(0, found) - targets_N * found).mean())

    def gradient(coefficients: Floats) -> Floats:
        slope: Floats = inputs_PN @ (expit(log_odds(coefficients)) - targets_N) / len(targets_N)
        return slope

    def curvature(coefficients: Floats) -> Floats:
        p = expit(log_odds(coefficients))
        hessian: Floats = (inputs_PN * (p * (1 - p))) @ inputs_PN.T / len(targets_N)
        return hessian

    from scipy.optimize import minimize  # which a service need not load

    start = np.zeros(len(inputs_PN))
    found: Floats = minimize(
        loss, start, jac=gradient, hess=curvature, method="trust-exact", options={"gtol": 1e-9}
    ).x
    return found
