"""Which model may have an alias: every gate closed until it is shown that it may open."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pneumo_core.arrays import Floats
from pneumo_core.audit.shortcuts import Check
from pneumo_core.errors import PromotionError
from pneumo_core.metrics.intervals import at_threshold
from pneumo_core.metrics.metrics import Estimate, Scores
from pneumo_core.metrics.paired import Reading
from pneumo_core.params import PromoteParams
from pneumo_core.promotion import policy as policies
from pneumo_core.promotion.gates import Challenger, Data
from pneumo_core.promotion.policy import Policy
from pneumo_core.promotion.promotion import Champion, choose_challenger, comparison_gates, decide

MLFLOW = Path(__file__).parents[3] / "mlflow"
POLICY = Policy.model_validate(
    {
        "purpose": "a test",
        "operating_point": "reading_aid",
        "choose_by": "auroc",
        "improve": "auroc",
        "margins": {"sensitivity": 0.05},
        "min_ci_low": {"auroc": 0.8, "sensitivity": 0.7, "specificity": 0.6},
        "max_ci_high": {"ece": 0.1, "brier": 0.2},
        "worst_group_min_ci_low": {"sensitivity": 0.5},
        "audited": ["augmentation", "model"],
        "min_test_films": 100,
    }
)
LABELS = np.arange(300) % 2
SPLIT_HASH, DATA_HASH, FILE_HASH = "a" * 64, "b" * 64, "c" * 64
CERTIFICATE = {
    "valid": True,
    "state": "valid",
    "faults": [],
    "test_split_hash": SPLIT_HASH,
    "data_sha256": DATA_HASH,
}
DATA = Data(CERTIFICATE, DATA_HASH, FILE_HASH, ("folder",))


def figure(low: float, high: float) -> dict[str, float]:
    return {"value": (low + high) / 2, "ci_low": low, "ci_high": high}


AT_POINT = {
    "threshold": 0.5,
    "sensitivity": figure(0.8, 0.95),
    "specificity": figure(0.7, 0.9),
}
METRICS: dict[str, Any] = {
    "split": "test",
    "n": 300,
    "auroc": figure(0.9, 0.98),
    "calibration": {"at_own_prevalence": {"ece": figure(0.02, 0.08), "brier": figure(0.05, 0.15)}},
    "operating_points": {"reading_aid": AT_POINT, "screening": AT_POINT},
}
SHARES = ("sensitivity", "specificity")


def groups(dimension: str, **lowest: float) -> dict[str, Any]:
    """By group, with a sensitivity whose lower bound is given; of one with 0 it is not known."""
    return {
        dimension: {
            name: {"sensitivity": figure(low, 0.9) | {"n_films": 50, "n_patients": 50}}
            if low
            else {}
            for name, low in lowest.items()
        }
    }


GROUPS = groups("subtype", virus=0.6, bacteria=0.8) | groups("sex", F=0.75, M=0.8)


def check(
    subject: Any, value: float, low: float | None = None, high: float | None = None, **others: Any
) -> dict[str, Any]:
    """As the audit writes one; without bounds it is sure of its figure."""
    found = Estimate(value, value if low is None else low, value if high is None else high)
    two_sided = others.pop("two_sided", False)
    made = Check(f"{subject} check", subject, "a figure", 0.1, found, two_sided)
    return made.as_dict() | others


CHECKS = [check("data", 0.9), check("augmentation", 0.05), check("model", 0.1)]


def scores(noise: float, seed: int = 0, latent: Floats | None = None) -> Scores:
    """A model that sees each film's true state through noise of its own."""
    latent = 2.0 * LABELS - 1 if latent is None else latent
    logits = latent + np.random.default_rng(seed).normal(0, noise, len(LABELS))
    keys = (np.arange(len(LABELS)) // 4).astype(np.str_)
    return Scores(LABELS, 1 / (1 + np.exp(-logits)), keys)


def challenger(noise: float = 1.0, **others: Any) -> Challenger:
    reading = Reading(scores(noise), 0.5)
    whole = Challenger("new", FILE_HASH, METRICS, reading, GROUPS, SPLIT_HASH, 1e-6, CHECKS, 3)
    return replace(whole, **others)


def champion(noise: float) -> Champion:
    return Champion("old", Reading(scores(noise, seed=1), 0.5))


def test_first_model_is_promoted_if_every_gate_holds() -> None:
    decision = decide(challenger(), DATA, None, POLICY)
    assert decision.outcome == "promoted"
    assert decision.reasons == (f"all {len(decision.gates)} gates hold",)


def changed(**values: Any) -> Challenger:
    """With other figures; those that follow from a threshold at every operating point."""
    own = METRICS["calibration"]["at_own_prevalence"]
    own = own | {name: values.pop(name) for name in own if name in values}
    values = {"calibration": {"at_own_prevalence": own}} | values
    at_point = AT_POINT | {name: values.pop(name) for name in AT_POINT if name in values}
    points = dict.fromkeys(("reading_aid", "screening"), at_point)
    return challenger(metrics=METRICS | {"operating_points": points} | values)


CLOSED = {
    "evaluation on test: missing": challenger(metrics=None),
    "evaluation on test: missing, ": challenger(reading=None),
    "split of the figures: val, asked for: test": changed(split="val"),
    "split of the figures: missing": changed(split=None),
    "threshold of the figures: 0.4": changed(threshold=0.4),
    "threshold of the figures: missing": changed(operating_points={"screening": AT_POINT}),
    "threshold of the figures: missing, ": changed(operating_points=None),
    "films of the figures: 299, asked for: 300": changed(n=299),
    "films of the figures: missing": changed(n=None),
    "films scored: ffffffffffff, asked for: aaaaaaaaaaaa": challenger(test_split_hash="f" * 64),
    "films scored: missing": challenger(test_split_hash=None),
    "probabilities computed again, off by: 0.01": challenger(deviation=0.01),
    "probabilities computed again, off by: missing": challenger(deviation=float("nan")),
    "data trained on: dddddddddddd": challenger(manifest_sha256="d" * 64),
    "withdrawn before: 2026-01-01: blind to infants": challenger(
        withdrawn="2026-01-01: blind to infants"
    ),
    "auroc, lower bound: 0.79, asked for: at least 0.8": changed(auroc=figure(0.79, 0.99)),
    "sensitivity, lower bound: 0.69": changed(sensitivity=figure(0.69, 0.99)),
    "specificity, lower bound: missing": changed(specificity=figure(float("nan"), 1)),
    "specificity, lower bound: missing, ": changed(specificity=None),
    "specificity, lower bound: missing, asked": changed(specificity={"value": 1.0}),
    "ece at the films' own prevalence, upper bound: 0.11, asked for: at most 0.1": changed(
        ece=figure(0.0, 0.11)
    ),
    "brier at the films' own prevalence, upper bound: 0.21": changed(brier=figure(0.0, 0.21)),
    "ece at the films' own prevalence, upper bound: missing": changed(
        calibration={"at_own_prevalence": None}
    ),
    "brier at the films' own prevalence, upper bound: missing": changed(calibration=None),
    "sensitivity of the worst group (subtype virus): 0.49": challenger(
        subgroups=groups("subtype", virus=0.49, bacteria=0.8)
    ),
    "sensitivity of the worst group (no group is large enough): missing": challenger(subgroups={}),
    "audit: model check, upper bound: 0.11": challenger(checks=[*CHECKS, check("model", 0.11)]),
    # The value is within the limit, its interval is not.
    "upper bound: 0.13, asked for: at most 0.1 (too few films to tell whether it is)": (
        challenger(checks=[*CHECKS, check("model", 0.07, 0.02, 0.13)])
    ),
    "audit: model check, upper bound: 0.2": challenger(
        checks=[*CHECKS, check("model", -0.05, -0.2, 0.02, two_sided=True)]
    ),
    "audit: augmentation check, upper bound: missing": challenger(
        checks=[*CHECKS, check("augmentation", float("nan"))]
    ),
    "augmentation check, upper bound: missing, ": challenger(
        checks=[*CHECKS, check("augmentation", 0.0, figure=None, passed=None)]
    ),
    "augmentation check, upper bound: 0, ": challenger(
        checks=[*CHECKS, check("augmentation", 0.0, passed=False)]
    ),
    "audit of the augmentation: missing": challenger(checks=[check("model", 0.0)]),
    "audit of the model: missing": challenger(checks=[check("augmentation", 0.0)]),
}


@pytest.mark.parametrize("rival", [None, champion(noise=5)], ids=["first", "against a worse one"])
@pytest.mark.parametrize("message", CLOSED)
def test_gate_that_fails_refuses_with_its_reason(rival: Champion | None, message: str) -> None:
    decision = decide(CLOSED[message], DATA, rival, POLICY)
    assert decision.outcome == "refused"
    assert any(message in reason for reason in decision.reasons)


def test_a_check_that_failed_for_sure_does_not_blame_the_number_of_films() -> None:
    sure = challenger(checks=[*CHECKS, check("model", 0.11)])
    assert decide(sure, DATA, None, POLICY).reasons == (
        "audit: model check, upper bound: 0.11, asked for: at most 0.1",
    )


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        (None, "leakage certificate: missing"),
        ({}, "leakage certificate: no state"),
        (CERTIFICATE | {"valid": False}, "leakage certificate: state valid, but not marked"),
        (CERTIFICATE | {"state": "yes"}, "leakage certificate: yes, asked for: valid"),
        (
            CERTIFICATE | {"state": "patients unknown"},
            "leakage certificate: patients unknown, asked for: valid",
        ),
        (
            CERTIFICATE | {"state": "not valid", "faults": [{"kind": "labels", "number": 1}]},
            "leakage certificate: not valid: 1 pictures with both labels, asked for: valid",
        ),
        (CERTIFICATE | {"data_sha256": "e" * 64}, "data certified: eeeeeeeeeeee"),
        (CERTIFICATE | {"test_split_hash": "e" * 64}, "asked for: eeeeeeeeeeee"),
    ],
)
def test_broken_certificate_is_never_promoted(
    certificate: Mapping[str, Any] | None, message: str
) -> None:
    decision = decide(challenger(), replace(DATA, certificate=certificate), None, POLICY)
    assert decision.outcome == "refused"
    assert any(message in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    "role", ["roles/champion", "roles/screening", "phantom/champion", "phantom/screening"]
)
@pytest.mark.parametrize("threshold", [0.0, 1.0], ids=["all positive", "all well"])
def test_model_of_one_class_passes_no_policy(role: str, threshold: float) -> None:
    """Good as its probabilities may be, it calls every film the same."""
    policy = policies.load(MLFLOW / f"{role}.yaml")
    reading = Reading(scores(0.1), threshold)
    found = {name: asdict(each) for name, each in at_threshold(reading.scores, threshold).items()}
    drawn = replace(DATA, origins=("phantom",))
    one_class = changed(threshold=threshold, **{name: found[name] for name in SHARES})
    decision = decide(replace(one_class, reading=reading), drawn, None, policy)
    assert decision.outcome == "refused"
    assert [why for why in decision.reasons if why.startswith(SHARES) and "bound: 0," in why]


def test_floor_of_a_dimension_names_its_worst_group_and_needs_two_large_ones() -> None:
    floors = {"sex": {"sensitivity": 0.75}}
    policy = POLICY.model_copy(update={"group_min_ci_low": floors})
    assert decide(challenger(), DATA, None, policy).outcome == "promoted"
    name = "sensitivity of the groups by sex"
    for found, why in {
        f"{name} (the worst is M): 0.74": groups("sex", F=0.75, M=0.74),
        f"{name} (the worst is not stated): 0.6": groups(
            "sex", F=0.8, M=0.8, **{"not stated": 0.6}
        ),
        f"{name} (less than two are large enough): missing": groups("sex", F=0, M=0.9),
        f"{name} (less than two are large enough): missing, ": groups(
            "sex", M=0.9, **{"not stated": 0.9}
        ),
        f"{name} (less than two are large enough): missing, asked": groups("view", AP=0.9, PA=0.9),
    }.items():
        decision = decide(challenger(subgroups=why), DATA, None, policy)
        assert decision.outcome == "refused"
        assert [reason for reason in decision.reasons if reason.startswith(found)]


def test_policy_for_the_phantom_is_closed_to_real_films() -> None:
    policy = POLICY.model_copy(update={"drawn_films_only": True})
    drawn = replace(DATA, origins=("phantom",))
    assert decide(challenger(), drawn, None, policy).outcome == "promoted"
    for origins in [("folder",), ("folder", "phantom"), ()]:
        found = decide(challenger(), replace(DATA, origins=origins), None, policy)
        assert "asked for: phantom" in found.reasons[0]


@pytest.mark.parametrize("looks", [6, None])
def test_test_split_that_was_scored_too_often_opens_nothing(looks: int | None) -> None:
    policy = POLICY.model_copy(update={"max_test_looks": 5})
    assert decide(challenger(test_looks=5), DATA, None, policy).outcome == "promoted"
    refused = decide(challenger(test_looks=looks), DATA, None, policy)
    assert [why.partition(":")[0] for why in refused.reasons] == [
        "models scored on this test split"
    ]


def test_limits_themselves_are_good_enough() -> None:
    just = changed(auroc=figure(0.8, 1), ece=figure(0, 0.1))
    just = replace(just, checks=[*CHECKS, check("model", -0.1, two_sided=True)])
    policy = POLICY.model_copy(update={"min_test_films": 300})
    assert decide(just, DATA, None, policy).outcome == "promoted"
    fewer = policy.model_copy(update={"min_test_films": 301})
    assert decide(just, DATA, None, fewer).outcome == "refused"


def test_every_failing_gate_is_told_and_the_comparison_left_out() -> None:
    bad = changed(split="train", auroc=figure(0.1, 0.2), ece=figure(0.3, 0.4))
    decision = decide(bad, DATA, champion(noise=5), POLICY)
    assert len(decision.reasons) == 3
    assert not [gate for gate in decision.gates if gate.name.startswith("gain")]


def test_better_model_takes_the_place_and_the_worse_one_does_not() -> None:
    promoted = decide(challenger(noise=1), DATA, champion(noise=3), POLICY)
    refused = decide(challenger(noise=3), DATA, champion(noise=1), POLICY)
    assert (promoted.outcome, refused.outcome) == ("promoted", "refused")
    own = decide(challenger(noise=1), DATA, None, POLICY).gates
    margin, gain = promoted.gates[len(own) :]
    assert promoted.gates[: len(own)] == own
    assert (margin.name, margin.asked) == ("gain in sensitivity, lower bound", "at least -0.05")
    assert gain.name == "gain in auroc, lower bound"
    assert "gain in auroc, lower bound: -0." in refused.reasons[-1]


def test_better_figure_does_not_buy_a_worse_one_that_has_a_margin() -> None:
    """Its threshold is so high that it misses pneumonias which the champion finds."""
    keen = replace(changed(threshold=0.8), reading=Reading(scores(1), 0.8))
    decision = decide(keen, DATA, champion(noise=3), POLICY)
    assert decision.outcome == "refused"
    assert len(decision.reasons) == 1
    assert decision.reasons[0].startswith("gain in sensitivity, lower bound: -0.")


def test_model_that_says_the_same_has_no_gain() -> None:
    same = Champion("old", Reading(scores(1), 0.5))
    decision = decide(challenger(noise=1), DATA, same, POLICY)
    assert decision.reasons == ("gain in auroc, lower bound: 0, asked for: above 0",)


def test_same_bundle_is_champion_already() -> None:
    decision = decide(challenger(), DATA, Champion("new", None), POLICY)
    assert decision.outcome == "already champion"
    assert decision.gates == decide(challenger(), DATA, None, POLICY).gates


def test_champion_that_could_not_be_scored_stays() -> None:
    decision = decide(challenger(), DATA, Champion("old", None, "it was altered"), POLICY)
    assert decision.outcome == "refused"
    assert "champion on the same films: it was altered" in decision.reasons[0]


@pytest.mark.parametrize(
    "other",
    [
        Scores(LABELS[::-1].copy(), scores(1).probabilities, scores(1).patient_keys),
        Scores(LABELS, scores(1).probabilities, np.arange(300).astype(np.str_)),
        Scores(LABELS[:200], scores(1).probabilities[:200], scores(1).patient_keys[:200]),
    ],
    ids=["labels", "patients", "fewer"],
)
def test_champion_scored_on_other_films_stays(other: Scores) -> None:
    decision = decide(challenger(), DATA, Champion("old", Reading(other, 0.5)), POLICY)
    assert decision.outcome == "refused"
    assert "scored on different films" in decision.reasons[0]


def test_gates_are_the_same_in_the_ledger_and_on_the_screen() -> None:
    decision = decide(challenger(), DATA, champion(noise=3), POLICY)
    written = decision.as_dict()
    assert written["gates"] == [vars(gate) for gate in decision.gates]
    assert (written["outcome"], written["reasons"]) == (decision.outcome, [*decision.reasons])


def test_a_figure_that_is_no_number_is_missing_in_the_ledger_too() -> None:
    gates = decide(changed(n=float("nan")), DATA, None, POLICY).gates
    assert [gate.name for gate in gates if gate.found is None] == ["films of the figures"]


def on_validation(auroc: float, specificity: float | None) -> dict[str, Any]:
    points: dict[str, Any] = {"reading_aid": {"specificity": {"value": 0.9}}}
    if specificity is not None:
        points["screening"] = {"specificity": {"value": specificity}}
    return {"auroc": {"value": auroc}, "operating_points": points}


def test_each_role_chooses_its_challenger_for_its_purpose() -> None:
    cells = {
        "a": [on_validation(0.99, None)] * 2,
        "b": [on_validation(0.95, 0.5)] * 2,
        "c": [on_validation(0.90, 0.8)] * 2,
    }
    screening = POLICY.model_copy(
        update={"operating_point": "screening", "choose_by": "specificity"}
    )
    assert choose_challenger(cells, POLICY) == "a"
    assert choose_challenger(cells, screening) == "c"
    assert choose_challenger({"a": cells["a"]}, screening) is None
    assert choose_challenger({}, POLICY) is None


def test_challenger_goes_by_the_mean_of_both_validations() -> None:
    cells = {
        "steady": [on_validation(0.95, 0.9), on_validation(0.94, 0.9)],
        "brittle": [on_validation(0.99, 0.9), on_validation(0.80, 0.9)],
        "unseen": [on_validation(0.99, 0.9), {}],
    }
    assert choose_challenger(cells, POLICY) == "steady"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_ci_low": {"auroc": 0.8, "sensitivity": 0.8}}, "min_ci_low.specificity"),
        ({"min_ci_low": {"auroc": 0.8, "sensitivity": 0.8, "specificity": 0}}, "greater than 0"),
        ({"max_ci_high": {"ece": 0.1}}, "max_ci_high.brier"),
        ({"improve": "aurok"}, "improve"),
        ({"margins": {"sensitivity": -0.1}}, "margins.sensitivity"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_policy_that_leaves_a_gate_out_is_none(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "role.yaml"
    path.write_text(yaml.safe_dump(POLICY.model_dump(mode="json") | change))
    with pytest.raises(PromotionError, match=message):
        policies.load(path)


def test_a_role_has_the_policy_of_its_name() -> None:
    params = PromoteParams(
        policies=str(MLFLOW / "roles"), roles=("screening",), registered_model="pneumo"
    )
    assert policies.of_role(params, "screening") == policies.load(MLFLOW / "roles/screening.yaml")


def test_a_policy_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "role.yaml"
    path.write_text("purpose: [a test")
    with pytest.raises(PromotionError, match=f"{path}, line 1 is not YAML"):
        policies.load(path)


def test_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromotionError, match=r"No policy at .*nobody\.yaml"):
        policies.load(tmp_path / "nobody.yaml")


def test_challengers_that_are_just_as_good_are_rarely_promoted() -> None:
    """`benchmarks/promotion_rate.py` does the same a thousand times, and more."""
    num_promoted, num_rounds = 0, 100
    for seed in range(num_rounds):
        # Both models see the same films, which are hard or easy for either, and err apart.
        latent = 2.0 * LABELS - 1 + np.random.default_rng([seed, 9]).normal(size=len(LABELS))
        new, old = (
            Reading(scores(0.7, seed=2 * seed + side, latent=latent), 0.5) for side in (0, 1)
        )
        gates = comparison_gates(new, Champion("old", old), POLICY)
        num_promoted += all(gate.passed for gate in gates)
    assert num_promoted <= 0.05 * num_rounds


ELSEWHERE = {
    "bundle": "new",
    "is_external": True,
    "metrics": METRICS | {"split": "all", "auroc": figure(0.76, 0.9)},
}
ASKS_ELSEWHERE = POLICY.model_copy(
    update={"external_min_ci_low": {"nih": {"auroc": 0.75, "sensitivity": 0.7}}}
)


def test_a_floor_on_an_external_set_opens_for_its_figures_alone() -> None:
    there = challenger(external={"nih": ELSEWHERE})
    assert decide(there, DATA, None, ASKS_ELSEWHERE).outcome == "promoted"
    assert decide(challenger(), DATA, None, POLICY).outcome == "promoted"


def test_a_set_that_is_missing_hides_no_other_one() -> None:
    floors = {"nih": {"auroc": 0.75}, "rsna": {"auroc": 0.8}}
    policy = POLICY.model_copy(update={"external_min_ci_low": floors})
    decision = decide(challenger(external={"rsna": ELSEWHERE}), DATA, None, policy)
    assert decision.reasons == (
        "external set nih: missing, asked for: scored",
        "external set rsna: auroc, lower bound: 0.76, asked for: at least 0.8",
    )


@pytest.mark.parametrize(
    ("external", "reason"),
    [
        ({}, "external set nih: missing, asked for: scored"),
        ({"other": ELSEWHERE}, "external set nih: missing, asked for: scored"),
        ({"nih": ELSEWHERE | {"bundle": "old"}}, "external set nih: model: old, asked for: new"),
        (
            {"nih": ELSEWHERE | {"is_external": False}},
            "external set nih: films or patients of our own: some, asked for: none",
        ),
        (
            {"nih": ELSEWHERE | {"metrics": METRICS | {"auroc": figure(0.74, 0.99)}}},
            "external set nih: auroc, lower bound: 0.74, asked for: at least 0.75",
        ),
        (
            {"nih": ELSEWHERE | {"metrics": {}}},
            "external set nih: sensitivity, lower bound: missing, asked for: at least 0.7",
        ),
    ],
)
def test_a_floor_on_an_external_set_stays_closed(external: Any, reason: str) -> None:
    decision = decide(challenger(external=external), DATA, None, ASKS_ELSEWHERE)
    assert decision.outcome == "refused"
    assert reason in decision.reasons
