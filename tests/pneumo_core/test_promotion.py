from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pneumo_core.errors import PromotionError
from pneumo_core.metrics import Floats, Scores
from pneumo_core.promotion import Candidate, Policy, auroc_gain, decide, gate_faults

POLICY = Policy(
    alias="champion",
    operating_point="reading_aid",
    min_ci_low={"auroc": 0.8, "sensitivity": 0.7},
    min_test_films=100,
    num_draws=200,
    seed=0,
)
METRICS = {
    "split": "test",
    "operating_point": "reading_aid",
    "n": 300,
    "auroc": {"value": 0.95, "ci_low": 0.9, "ci_high": 0.98},
    "sensitivity": {"value": 0.9, "ci_low": 0.8, "ci_high": 0.95},
}
LABELS = np.arange(300) % 2


def _scores(noise: float, seed: int = 0, latent: Floats | None = None) -> Scores:
    """A model that sees each film's true state through noise of its own."""
    latent = 2.0 * LABELS if latent is None else latent
    logits = latent + np.random.default_rng(seed).normal(0, noise, len(LABELS))
    keys = (np.arange(len(LABELS)) // 4).astype(np.str_)
    return Scores(LABELS, 1 / (1 + np.exp(-logits)), keys)


def _candidate(sha: str = "new", noise: float = 1.0, **metrics: Any) -> Candidate:
    return Candidate(sha, METRICS | metrics, _scores(noise))


def test_first_model_is_promoted_if_every_gate_holds() -> None:
    decision = decide(_candidate(), None, POLICY)
    assert (decision.promote, decision.outcome) == (True, "promoted")


@pytest.mark.parametrize("champion", [None, _candidate("old", noise=5)])
@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"split": "val"}, "evaluated on val, not on test"),
        ({"operating_point": "screening"}, "evaluated at screening, not at reading_aid"),
        ({"n": 99}, "99 test films, 100 are asked for"),
        ({"auroc": {"ci_low": 0.79}}, "lower bound of auroc is 0.790, 0.800 is asked for"),
        ({"sensitivity": {"ci_low": float("nan")}}, "lower bound of sensitivity is nan"),
    ],
)
def test_gate_that_fails_refuses_with_its_reason(
    champion: Candidate | None, metrics: dict[str, Any], told: str
) -> None:
    decision = decide(_candidate(**metrics), champion, POLICY)
    assert (decision.promote, decision.outcome) == (False, "refused")
    assert len(decision.reasons) == 1
    assert told in decision.reasons[0]


def test_floor_itself_is_high_enough() -> None:
    assert gate_faults(_candidate(auroc={"ci_low": 0.8}, n=100), POLICY) == []


def test_every_fault_is_told() -> None:
    faults = gate_faults(_candidate(split="train", n=5, auroc={"ci_low": 0.1}), POLICY)
    assert len(faults) == 3


@pytest.mark.parametrize("missing", [{"metrics": None}, {"scores": None}])
def test_model_without_an_evaluation_is_refused(missing: dict[str, None]) -> None:
    decision = decide(replace(_candidate(), **missing), None, POLICY)
    assert not decision.promote
    assert decision.reasons == ("it was never evaluated on the test split",)


@pytest.mark.parametrize("key", ["split", "operating_point", "n"])
def test_metrics_that_lack_a_fact_are_refused(key: str) -> None:
    metrics = {name: value for name, value in METRICS.items() if name != key}
    assert not decide(Candidate("new", metrics, _scores(1)), None, POLICY).promote


def test_policy_with_an_unknown_figure_is_an_error() -> None:
    policy = POLICY.model_copy(update={"min_ci_low": {"aurok": 0.8}})
    with pytest.raises(PromotionError, match="unknown figure 'aurok'"):
        decide(_candidate(), None, policy)


def test_better_model_takes_the_place_and_the_worse_one_does_not() -> None:
    better, worse = _candidate("a", noise=0.7), _candidate("b", noise=3)
    promoted, refused = decide(better, worse, POLICY), decide(worse, better, POLICY)
    assert (promoted.promote, promoted.outcome) == (True, "promoted")
    assert (refused.promote, refused.outcome) == (False, "refused")
    assert "AUROC gain over the champion +" in promoted.reasons[1]
    assert "not beyond chance" in refused.reasons[0]


def test_model_that_says_the_same_has_no_gain() -> None:
    decision = decide(_candidate("new"), _candidate("old"), POLICY)
    assert not decision.promote
    assert decision.reasons == (
        "AUROC gain over the champion +0.0000 [+0.0000, +0.0000]: not beyond chance",
    )


def test_same_bundle_is_champion_already() -> None:
    assert decide(_candidate("one"), _candidate("one"), POLICY).outcome == "already champion"


def test_champion_without_scores_stays() -> None:
    champion = replace(_candidate("old", noise=5), scores=None)
    decision = decide(_candidate(), champion, POLICY)
    assert not decision.promote
    assert "could not be scored" in decision.reasons[0]


def test_gain_and_loss_mirror_each_other() -> None:
    first, second = _scores(0.7), _scores(3)
    value, low, high = auroc_gain(first, second, POLICY)
    assert low < value < high
    assert auroc_gain(second, first, POLICY) == pytest.approx((-value, -high, -low))


@pytest.mark.parametrize(
    "other",
    [
        Scores(LABELS[::-1].copy(), _scores(1).probabilities, _scores(1).patient_keys),
        Scores(LABELS, _scores(1).probabilities, np.arange(300).astype(np.str_)),
        Scores(LABELS[:200], _scores(1).probabilities[:200], _scores(1).patient_keys[:200]),
    ],
    ids=["labels", "patients", "fewer"],
)
def test_scores_of_other_films_are_an_error(other: Scores) -> None:
    with pytest.raises(PromotionError, match="different films"):
        decide(_candidate(), replace(_candidate("old"), scores=other), POLICY)


def test_challengers_that_are_just_as_good_are_rarely_promoted() -> None:
    num_promoted, num_rounds = 0, 200
    for seed in range(num_rounds):
        # Both models see the same films, which are hard or easy for either, and err apart.
        latent = 2.0 * LABELS + np.random.default_rng([seed, 9]).normal(size=len(LABELS))
        pair = [
            Candidate(f"{side}", METRICS, _scores(0.7, seed=2 * seed + side, latent=latent))
            for side in (0, 1)
        ]
        num_promoted += decide(*pair, POLICY).promote
    slack = 2 * (0.05 * 0.95 * num_rounds) ** 0.5
    assert num_promoted <= 0.05 * num_rounds + slack
