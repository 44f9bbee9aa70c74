"""Differences of models against statsmodels, DeLong's own formula, and what must be so."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import t as student
from statsmodels.stats.contingency_tables import mcnemar as by_statsmodels
from statsmodels.stats.multitest import multipletests

from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.differences import mcnemar, of_figures, of_shares
from pneumo_core.metrics.influence import of_auroc
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.paired import (
    DIFFERENCES,
    Reading,
    compare,
    compare_mean_auroc,
    holm,
    tied_with,
)

MakeScores = Callable[..., Scores]


def _two(seed: int, make_scores: MakeScores, apart: float = 0.0) -> tuple[Scores, Scores]:
    """Two models on the same films, one patient each; `apart` makes the first the better one."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 60)
    labels[:4] = 0, 0, 1, 1
    seen = labels + rng.normal(0, 0.7, 60)
    noise = rng.normal(0, 0.4, (2, 60)) * np.array([[1 - apart], [1]])
    first, second = (1 / (1 + np.exp(1 - 2 * (seen + each))) for each in noise)
    return make_scores(labels, first), make_scores(labels, second)


def test_p_of_shares_is_mcnemars_exact_one(make_scores: MakeScores) -> None:
    for seed in range(200):
        first, second = (scores.reads(0.5) == scores.positive for scores in _two(seed, make_scores))
        table = [
            [int(((first == a) & (second == b)).sum()) for b in (True, False)]
            for a in (True, False)
        ]
        scores = _two(seed, make_scores)[0]
        expected = by_statsmodels(table, exact=True).pvalue
        assert mcnemar(first, second, scores) == pytest.approx(expected, abs=1e-9)


def test_holm_equals_that_of_statsmodels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels collects garbage on every call
    rng = np.random.default_rng(0)
    for size in range(1, 30):
        p_values = list(rng.random(size) ** 3)
        expected = multipletests(p_values, method="holm")[1]
        assert holm(p_values) == pytest.approx(expected, abs=1e-9)


def test_auroc_p_is_that_of_delongs_covariance(make_scores: MakeScores) -> None:
    """At no difference each model varies as it does: the placements written out."""
    for seed in range(50):
        both = _two(seed, make_scores)
        positive = both[0].positive
        placed = []
        for scores in both:
            won = scores.probabilities[positive][:, None] - scores.probabilities[~positive]
            wins = np.heaviside(won, 0.5)
            placed.append((wins.mean(), wins.mean(1) - wins.mean(), wins.mean(0) - wins.mean()))
        found = of_figures(*(of_auroc(scores) for scores in both), both[0])
        gap = placed[0][0] - placed[1][0]
        num_ill, num_well = int(positive.sum()), int((~positive).sum())
        variance = sum(
            np.sum((placed[0][side] - placed[1][side]) ** 2) / (n * (n - 1))
            for side, n in ((1, num_ill), (2, num_well))
        )
        rough = 2 * student.sf(abs(gap) / variance**0.5, min(num_ill, num_well) - 1)
        assert found.value == pytest.approx(gap, abs=1e-9)
        assert found.p == pytest.approx(rough, abs=0.06)  # ours is on the logit scale


@pytest.mark.parametrize("seed", range(0, 40, 5))
def test_interval_and_p_of_auroc_agree_at_nought(seed: int, make_scores: MakeScores) -> None:
    for apart in (0.0, 0.5, 0.9):
        a, b = _two(seed, make_scores, apart)
        found = of_figures(of_auroc(a), of_auroc(b), a)
        assert (found.p < 0.05) == (found.ci_low > 0 or found.ci_high < 0)
        turned = of_figures(of_auroc(b), of_auroc(a), a)
        assert (turned.value, turned.p) == pytest.approx((-found.value, found.p))
        assert (turned.ci_low, turned.ci_high) == pytest.approx((-found.ci_high, -found.ci_low))


@pytest.mark.parametrize("patients", [None, "several films"])
def test_interval_and_p_of_every_figure_agree_at_nought(
    patients: str | None, make_scores: MakeScores
) -> None:
    """From 8 films to 300, from chance to nearly perfect, with ties and equal scores."""
    rng = np.random.default_rng(0)
    for _ in range(150):
        num_films = int(rng.choice([8, 20, 40, 100, 300]))
        labels = rng.integers(0, 2, num_films)
        labels[:4] = 0, 0, 1, 1
        keys = rng.integers(4, num_films, num_films) if patients else np.arange(num_films)
        keys[:4] = range(4)
        apart = rng.choice([0.1, 1.5, 3, 6])
        seen = apart * (labels - 0.5) + rng.normal(size=num_films)
        models = {
            name: Reading(make_scores(labels, expit(noisy).round(decimals), keys), 0.5)
            for name, noisy, decimals in zip(
                "ab",
                (seen + rng.choice([0, 0.05, 0.3, 1]) * rng.normal(size=(2, num_films))),
                rng.choice([1, 2, 8], 2),
                strict=True,
            )
        }
        (pair,) = compare(models)["pairs"]
        for name in DIFFERENCES:
            value, low, high, p, _ = pair[name].values()
            assert -1 <= low <= value <= high <= 1, name
            assert (low <= 0 <= high) == (p >= 0.05), name
            assert (low < 0 < high) == (p >= 0.05) or low == high == 0, name  # not even touching
            varies = (models["a"].scores.probabilities != models["b"].scores.probabilities).any()
            assert low < high or not varies or value == 0, name


def test_intervals_of_nearly_perfect_models_are_not_wide(make_scores: MakeScores) -> None:
    """Each part scaled by v (1 - v) gave 1.2 here for two models that differ by .02."""
    rng = np.random.default_rng(3)
    labels = np.arange(50) % 2
    seen = 4.5 * labels + rng.normal(size=50)
    a, b = (
        make_scores(labels, expit(seen + noise * rng.normal(size=50) - 2)) for noise in (0.3, 1.2)
    )
    found = of_figures(of_auroc(a), of_auroc(b), a)
    assert min(of_auroc(a).value, of_auroc(b).value) > 0.97
    assert found.ci_high - found.ci_low < 0.4


def test_a_model_does_not_differ_from_itself(make_scores: MakeScores) -> None:
    a, _ = _two(1, make_scores)
    found = of_figures(of_auroc(a), of_auroc(a), a)
    assert (found.value, found.p) == (0, 1)
    right = a.reads(0.5) == a.positive
    alike = of_shares(right, right, np.ones_like(right), a)
    assert (alike.value, alike.p) == (0, 1)
    assert alike.ci_low == pytest.approx(-alike.ci_high)  # Wilson's lopsided ends do not cancel


def test_all_signs_are_counted_for_patients_with_several_films(make_scores: MakeScores) -> None:
    """Net gains of 2, 1 and 1 films: of 8 choices of signs those that reach 4 either way are 2."""
    scores = make_scores([1, 1, 1, 1, 0, 0], [0.5] * 6, list("aabcde"))
    gain, none = np.array([1, 1, 1, 1, 0, 0], bool), np.zeros(6, bool)
    sums = [abs(np.dot(signs, (2, 1, 1))) for signs in product((-1, 1), repeat=3)]
    assert mcnemar(gain, none, scores) == np.mean([total >= 4 for total in sums]) == 0.25


def test_good_models_are_tied_and_a_bad_one_is_not(make_scores: MakeScores) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    seen = 4.0 * labels - 2 + rng.normal(0, 1, 300)

    def read(noise: float) -> Reading:
        return Reading(
            make_scores(labels, 1 / (1 + np.exp(-seen - rng.normal(0, noise, 300)))), 0.5
        )

    found = compare({"bad": read(5), "good": read(0.2), "as good": read(0.2)})
    assert len(found["pairs"]) == 3
    best, last = found["tie_groups"]
    assert set(best) == {"good", "as good"}
    assert last == ["bad"]
    assert tied_with("good", found) == {"good", "as good"}


def test_mean_auroc_of_two_views_is_compared_as_one_figure(make_scores: MakeScores) -> None:
    """One and the same view twice says what it says once."""
    a, b = (Reading(scores, 0.5) for scores in _two(0, make_scores))
    (once,), (twice,) = (
        compare_mean_auroc([{"a": a, "b": b}] * times)["pairs"] for times in (1, 2)
    )
    (alone,) = compare({"a": a, "b": b})["pairs"]
    assert once["auroc"] == pytest.approx(alone["auroc"])
    assert twice["auroc"] == pytest.approx(alone["auroc"])
    (swapped,) = compare_mean_auroc([{"a": a, "b": b}, {"a": b, "b": a}])["pairs"]
    assert swapped["auroc"]["value"] == pytest.approx(0)


def test_other_films_cannot_be_compared(make_scores: MakeScores) -> None:
    a, _ = _two(0, make_scores)
    other = make_scores(1 - a.labels, a.probabilities)
    with pytest.raises(EvaluationError, match="different films"):
        compare({"a": Reading(a, 0.5), "b": Reading(other, 0.5)})


def test_interval_and_test_of_shares_agree_at_nought() -> None:
    """MOVER alone excluded 0 in 12 of these 231 tables, at an exact p of .05 to .08."""
    num_films, keys = 100, np.arange(105).astype(np.str_)
    labels = np.r_[np.ones(num_films), np.zeros(5)].astype(np.int64)
    scores = Scores(labels, np.full(105, 0.5), keys)
    for only_a in range(21):
        for only_b in range(only_a + 1):
            films = np.arange(105)
            a = films < 95 - only_b
            b = (films < 95 - only_a - only_b) | ((films >= 95 - only_b) & (films < 95))
            found = of_shares(a, b, scores.positive, scores)
            assert found.value == pytest.approx((only_a - only_b) / num_films)
            assert (found.ci_low > 0 or found.ci_high < 0) == (found.p < 0.05), (only_a, only_b)
