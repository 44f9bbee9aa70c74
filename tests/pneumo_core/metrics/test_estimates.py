"""Intervals of shares against published ones."""

import numpy as np
import pytest

from pneumo_core.metrics.estimates import wilson_interval


@pytest.mark.parametrize(
    ("successes", "trials", "value", "low", "high"),
    [
        (389 + 210, 390 + 234, 0.960, 0.942, 0.973),  # the study's accuracy
        (389, 390, 0.997, 0.986, 1.000),  # its sensitivity
        (210, 234, 0.897, 0.852, 0.930),  # its specificity
        (0, 10, 0.0, 0.0, 0.278),
        (10, 10, 1.0, 0.722, 1.0),
    ],
)
def test_wilson_gives_the_values_worked_out_by_hand(
    successes: int, trials: int, value: float, low: float, high: float
) -> None:
    found = wilson_interval(np.array([successes / trials]), trials).figure()
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((value, low, high), abs=5e-4)
