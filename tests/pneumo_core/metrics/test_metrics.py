import numpy as np
import pytest
import sklearn.metrics as sk

from pneumo_core.errors import EvaluationError
from pneumo_core.metrics import metrics
from pneumo_core.metrics.metrics import Confusion, Scores, patient_weights

THRESHOLD = 0.5


def _scores(labels: object, probabilities: object, keys: object = None) -> Scores:
    labels = np.asarray(labels, np.int64)
    keys = np.arange(len(labels)) if keys is None else keys
    return Scores(labels, np.asarray(probabilities, np.float64), np.asarray(keys).astype(np.str_))


def _random(seed: int) -> Scores:
    """A set of 5 to 80 films; every second one with many equal probabilities."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rng.integers(5, 80))
    labels[:2] = 0, 1
    probabilities = np.clip(rng.normal(0.4 + 0.2 * labels, 0.3), 0, 1)
    if seed % 2:
        probabilities = probabilities.round(1)
    return _scores(labels, probabilities, rng.integers(0, len(labels), len(labels)))


def _by_sklearn(scores: Scores, weights: np.ndarray) -> dict[str, float]:
    y, p, called = scores.labels, scores.probabilities, scores.probabilities >= THRESHOLD
    return {
        "auroc": sk.roc_auc_score(y, p, sample_weight=weights),
        "average_precision": sk.average_precision_score(y, p, sample_weight=weights),
        "balanced_accuracy": sk.balanced_accuracy_score(y, called, sample_weight=weights),
        "brier": sk.brier_score_loss(y, p, sample_weight=weights),
    }


@pytest.mark.parametrize("seed", range(0, 40, 5))
def test_weighted_draws_equal_scikit_learn_with_sample_weights(seed: int) -> None:
    scores = _random(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (6, len(scores.labels))).astype(float)
    weights[:, :2] += 1  # both classes in every draw
    expected = [_by_sklearn(scores, row) for row in weights]
    for name in expected[0]:
        found = getattr(metrics, name)(scores, THRESHOLD, weights)
        np.testing.assert_allclose(found, [draw[name] for draw in expected], atol=1e-9)


def test_confusion_counts_a_probability_at_the_threshold_as_ill() -> None:
    scores = _scores([1, 1, 1, 0, 0, 0], [0.5, 0.9, 0.1, 0.5, 0.4, 0.0])
    assert metrics.confusion(scores, 0.5) == Confusion(tp=2, fp=1, tn=2, fn=1)


def test_ece_of_two_bins_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "NUM_ECE_BINS", 2)
    scores = _scores([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.8])
    # |0.2 - 0| * 2/4 + |0.7 - 1| * 2/4
    assert metrics.ece(scores, 0, np.ones((1, 4))) == pytest.approx([0.25])


def test_ece_of_a_calibrated_model_is_small_and_of_an_overconfident_one_is_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=5000)
    labels = (rng.uniform(size=5000) < truth).astype(int)
    whole = np.ones((1, 5000))
    assert metrics.ece(_scores(labels, truth), 0, whole)[0] < 0.03
    assert metrics.ece(_scores(labels, (truth > 0.5) * 0.98 + 0.01), 0, whole)[0] > 0.2


def test_equal_probabilities_are_in_one_bin_whatever_the_order_of_the_films() -> None:
    labels, probabilities = np.repeat([0, 1], 20), np.full(40, 0.5)
    probabilities[:4] = 0.1
    ordered = metrics.ece(_scores(labels, probabilities), 0, np.ones((1, 40)))
    shuffled = np.random.default_rng(0).permutation(40)
    mixed = metrics.ece(_scores(labels[shuffled], probabilities[shuffled]), 0, np.ones((1, 40)))
    assert ordered == pytest.approx(mixed)
    # four well films at .1, and 36 at .5 of which 20 are positive
    assert ordered == pytest.approx((4 * 0.1 + abs(36 * 0.5 - 20)) / 40)


def test_bootstrap_keeps_the_films_of_a_patient_together() -> None:
    scores = _scores([0, 0, 0, 1, 1, 1], [0.5] * 6, ["a", "a", "b", "c", "d", "c"])
    draws = patient_weights(scores, 200, seed=0)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
    np.testing.assert_array_equal(draws[:, 3], draws[:, 5])
    np.testing.assert_array_equal(draws[:, [0, 2]].sum(1), 2)  # patients of a class, each time
    assert set(draws[:, 0]) == {0, 1, 2}


@pytest.mark.parametrize("keys", ["aabb", "aaab", "aaaa", "abcd"])
def test_each_draw_has_both_classes_though_a_patient_has_films_of_both(keys: str) -> None:
    scores = _scores([0, 1, 0, 0], [0.1, 0.9, 0.2, 0.3], list(keys))
    draws = patient_weights(scores, 200, seed=0)
    assert (draws[:, 1] > 0).all()
    assert (draws[:, [0, 2, 3]].sum(1) > 0).all()


@pytest.mark.parametrize(
    ("labels", "probabilities", "keys", "message"),
    [
        ([1, 1], [0.1, 0.2], None, "2 of 2 films are PNEUMONIA: both classes needed"),
        ([0, 0], [0.1, 0.2], None, "0 of 2 films"),
        ([], [], None, "0 of 0 films"),
        ([0, 1], [0.1, float("nan")], None, r"1 probabilities lie outside 0\.\.1"),
        ([0, 1], [-0.1, 1.1], None, "2 probabilities"),
        ([0, 1], [0.1, float("inf")], None, "1 probabilities"),
        ([0, 1], [0.1], None, "differ in number"),
        ([0, 1], [0.1, 0.2], ["a"], "differ in number"),
    ],
)
def test_scores_that_give_no_figures_are_an_error(
    labels: list[int], probabilities: list[float], keys: list[str] | None, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        _scores(labels, probabilities, keys)
