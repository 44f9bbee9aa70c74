import json

import numpy as np
import pytest

from pneumo_core.audit.shortcuts import Check, Cohort, estimate
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.metrics import Estimate, auroc
from pneumo_core.params import AuditParams


def _check(low: float, high: float, two_sided: bool = False) -> Check:
    figure = Estimate((low + high) / 2, low, high)
    return Check("flip_rate", "model", "Films that flip", 0.05, figure, two_sided, unit="%")


@pytest.mark.parametrize(
    ("low", "high", "two_sided", "passed"),
    [
        (0.01, 0.05, False, True),
        (0.06, 0.09, False, False),
        (0.04, 0.06, False, None),
        (-0.90, -0.50, False, True),
        (-0.90, -0.50, True, False),
        (-0.05, 0.05, True, True),
        (-0.06, 0.05, True, None),
        (-0.50, 0.50, True, None),
    ],
)
def test_verdict_needs_the_whole_interval_on_one_side(
    low: float, high: float, two_sided: bool, passed: bool | None
) -> None:
    assert _check(low, high, two_sided).passed is passed


def test_check_explains_itself_and_is_ready_for_json() -> None:
    sentence = "Films that flip: 14.0 % [11.0, 17.0]; limit 5.0 %: BEYOND it."
    check = _check(0.11, 0.17)
    assert check.explain() == sentence
    content = json.loads(json.dumps(check.as_dict()))
    assert content["figure"] == {"value": pytest.approx(0.14), "ci_low": 0.11, "ci_high": 0.17}
    assert (content["passed"], content["explanation"]) == (False, sentence)
    assert "limit ±5.0 %: too few films to decide" in _check(-0.1, 0.1, two_sided=True).explain()


def test_check_that_cannot_be_computed_is_open_and_says_why() -> None:
    def fail() -> tuple[Estimate, dict[str, float]]:
        raise EvaluationError("No two films are alike.")

    asked = Check("paired_drop", "model", "What the AUROC loses", 0.05, two_sided=True)
    check = asked.measured(fail)
    content = json.loads(json.dumps(check.as_dict()))
    assert (content["figure"], content["passed"]) == (None, None)
    assert content["explanation"] == (
        "What the AUROC loses: not computed; limit ±0.050. No two films are alike."
    )


def test_estimate_is_the_statistic_with_its_percentiles() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    cohort = Cohort(labels, rng.integers(0, 40, 60).astype(np.str_))
    scores = cohort.scores(rng.uniform(size=60) * 0.5 + 0.3 * labels)
    draws = cohort.draws(AuditParams(num_draws=300, seed=5))
    expected = np.quantile(auroc(scores, 0, draws), [0.025, 0.975])
    found = estimate(lambda w: auroc(scores, 0, w), draws)
    assert found.value == auroc(scores, 0, np.ones((1, 60)))
    assert (found.ci_low, found.ci_high) == pytest.approx(expected)
