"""Differences between models on the same films, and which of them are tied.

The AUROC by DeLong, decisions by the exact McNemar test, the rest from the same bootstrap draws of
patients; Holm over all that is looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import norm

from pneumo_core import delong
from pneumo_core.errors import EvaluationError
from pneumo_core.intervals import Z, auroc
from pneumo_core.metrics import (
    Floats,
    Scores,
    average_precision,
    balanced_accuracy,
    brier,
    patient_weights,
    percentile_interval,
)

ALPHA = 0.05  # of Holm's p: at or above it two models are tied

Plain = dict[str, Any]  # as JSON has it


@dataclass(frozen=True)
class Difference:
    value: float
    ci_low: float
    ci_high: float
    p: float  # two-sided; by `adjusted` one of several

    @classmethod
    def of(cls, value: float, draws_D: Floats) -> "Difference":
        """`draws_D` are the differences in the bootstrap draws; p is never below 2 / (D + 1)."""
        beyond = min(int((draws_D <= 0).sum()), int((draws_D >= 0).sum()))
        p = min(1.0, 2 * (beyond + 1) / (len(draws_D) + 1))
        return cls(value, *percentile_interval(draws_D), p)


@dataclass(frozen=True)
class Reading:
    """A model's probabilities and the threshold at which it decides."""

    scores: Scores
    threshold: float

    @property
    def right(self) -> Floats:
        right: Floats = (self.scores.reads(self.threshold) == self.scores.ill).astype(np.float64)
        return right


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for all of them being looked at (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(factors * np.asarray(p_values)[order]).clip(max=1)
    return [float(p) for p in adjusted]


def adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """The same differences with Holm's p."""
    p_values = holm([difference.p for difference in differences])
    return [replace(d, p=p) for d, p in zip(differences, p_values, strict=True)]


def auroc_differences(models: Mapping[str, Scores]) -> dict[tuple[str, str], Difference]:
    """Of every pair, the first less the second.

    Raises:
        EvaluationError: the models were not scored on the same films in the same order.
    """
    some = same_films(list(models.values()))
    parts = delong.influence(np.stack([s.probabilities for s in models.values()]), some)
    index = {name: number for number, name in enumerate(models)}
    found = {}
    for pair in combinations(models, 2):
        a, b = (index[name] for name in pair)
        value = float(parts.auroc[a] - parts.auroc[b])
        spread = float(np.linalg.norm(parts.by_patient[a] - parts.by_patient[b]))
        p = 2 * norm.sf(abs(value) / spread) if spread > 0 else float(value == 0)
        found[pair] = Difference(value, value - Z * spread, value + Z * spread, float(p))
    return found


def mcnemar(right_a_N: Floats, right_b_N: Floats, scores: Scores) -> float:
    """Exact two-sided p of one model being right more often, films of a patient together.

    Were the two alike, each patient's net gain of films would as well have been a loss of as many:
    all ways to choose the signs are counted. With one film a patient it is McNemar's exact test.
    """
    net_K = np.abs(np.bincount(scores.patient_of, right_a_N - right_b_N)).astype(np.int64)
    total = int(net_K.sum())
    chance = np.zeros(2 * total + 1)  # of each sum, from -total to total
    chance[total] = 1
    for size in net_K[net_K > 0]:
        chance = (np.roll(chance, size) + np.roll(chance, -size)) / 2
    found = abs(round(float((right_a_N - right_b_N).sum())))
    sums = np.abs(np.arange(-total, total + 1))
    return float(min(1.0, chance[sums >= found].sum()))


def same_films(all_scores: Sequence[Scores]) -> Scores:
    """Some of them, which says which films they all are of.

    Raises:
        EvaluationError: they were not scored on the same films in the same order.
    """
    first, *others = all_scores
    for other in others:
        if not (
            np.array_equal(first.labels, other.labels)
            and np.array_equal(first.patient_keys, other.patient_keys)
        ):
            raise EvaluationError("The models were scored on different films.")
    return first


def compare(models: Mapping[str, Reading], num_draws: int, seed: int) -> Plain:
    """Every pair of models on the same films, as `comparisons.json` has it.

    Raises:
        EvaluationError: the models were not scored on the same films in the same order.
    """
    some = same_films([model.scores for model in models.values()])
    found = {"auroc": auroc_differences({name: m.scores for name, m in models.items()})}
    found |= _by_bootstrap(models, some, num_draws, seed)
    pairs: list[Plain] = [{"a": a, "b": b} for a, b in combinations(models, 2)]
    for name, by_pair in found.items():
        differences = list(by_pair.values())
        for pair, raw, held in zip(pairs, differences, adjusted(differences), strict=True):
            pair[name] = asdict(raw) | {"p_holm": held.p}
    ranked = sorted(models, key=lambda name: -auroc(models[name].scores).value)
    return {
        "n": len(some.labels),
        "n_positive": int(some.labels.sum()),
        "alpha": ALPHA,
        "num_draws": num_draws,
        "tie_groups": _tie_groups(ranked, pairs),
        "pairs": pairs,
    }


def tied_with(best: str, comparisons: Plain) -> set[str]:
    """The models whose AUROC cannot be told from that of one of them, which is among them."""
    tied = {best}
    for pair in comparisons["pairs"]:
        if best in (pair["a"], pair["b"]) and pair["auroc"]["p_holm"] >= comparisons["alpha"]:
            tied |= {pair["a"], pair["b"]}
    return tied


def _by_bootstrap(
    models: Mapping[str, Reading], some: Scores, num_draws: int, seed: int
) -> dict[str, dict[tuple[str, str], Difference]]:
    """Differences with percentile intervals, and of decisions with McNemar's p."""
    whole_and_draws = np.vstack([np.ones(len(some.labels)), patient_weights(some, num_draws, seed)])
    among = {
        "accuracy": np.ones_like(some.ill),
        "sensitivity": some.ill,
        "specificity": ~some.ill,
    }

    def of_model(model: Reading) -> dict[str, Floats]:
        shares = {
            name: whole_and_draws @ (model.right * films) / (whole_and_draws @ films)
            for name, films in among.items()
        }
        others = (balanced_accuracy, average_precision, brier)
        return shares | {
            statistic.__name__: statistic(model.scores, model.threshold, whole_and_draws)
            for statistic in others
        }

    values = {name: of_model(model) for name, model in models.items()}
    found: dict[str, dict[tuple[str, str], Difference]] = {}
    for a, b in combinations(models, 2):
        for name in values[a]:
            gap = values[a][name] - values[b][name]
            difference = Difference.of(float(gap[0]), gap[1:])
            if (films := among.get(name)) is not None:
                p = mcnemar(models[a].right * films, models[b].right * films, some)
                difference = replace(difference, p=p)
            found.setdefault(name, {})[a, b] = difference
    return found


def _tie_groups(ranked: Sequence[str], pairs: Sequence[Plain]) -> list[list[str]]:
    """The longest runs of the ranking in which no two models differ; they may overlap."""
    apart = {frozenset((pair["a"], pair["b"])) for pair in pairs if pair["auroc"]["p_holm"] < ALPHA}
    groups: list[list[str]] = []
    last_end = 0
    for start in range(len(ranked)):
        end = start + 1
        while end < len(ranked) and not any(
            frozenset((other, ranked[end])) in apart for other in ranked[start:end]
        ):
            end += 1
        if end > last_end:
            groups.append(list(ranked[start:end]))
            last_end = end
    return groups
