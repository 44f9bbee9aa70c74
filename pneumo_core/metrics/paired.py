"""Differences between models on the same films, and which of them are tied.

Holm over all pairs that are looked at, so that the best of many equal ones is tied with the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np

from pneumo_core.arrays import Bools
from pneumo_core.atomic import JsonDict
from pneumo_core.errors import EvaluationError
from pneumo_core.metrics.differences import Difference, mcnemar, of_figures, of_shares
from pneumo_core.metrics.influence import Influence, jackknife, mean_influence, of_auroc
from pneumo_core.metrics.metrics import Scores, average_precision, balanced_accuracy, brier

ALPHA = 0.05  # of Holm's p: at or above it two models are tied
LEAST_DISCORDANT = 6  # films, all the same way, at which McNemar's exact p is below it

DIFFERENCES = (
    *("auroc", "accuracy", "sensitivity", "specificity", "balanced_accuracy"),
    *("average_precision", "brier"),
)


@dataclass(frozen=True)
class Reading:
    """A model's probabilities and the threshold at which it decides."""

    scores: Scores
    threshold: float

    @property
    def right(self) -> Bools:
        right: Bools = self.scores.reads(self.threshold) == self.scores.positive
        return right


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for the number of tests (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(factors * np.asarray(p_values)[order]).clip(max=1)
    return [float(p) for p in adjusted]


def adjusted(differences: Sequence[Difference]) -> list[Difference]:
    """Return the same differences with Holm's p."""
    p_values = holm([difference.p for difference in differences])
    return [replace(d, p=p) for d, p in zip(differences, p_values, strict=True)]


def same_films(all_scores: Sequence[Scores]) -> Scores:
    """Return the first of several scores, after the check that all have the same films.

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


def compare(models: Mapping[str, Reading]) -> JsonDict:
    """Return the differences of every pair of models on the same films: `comparisons.json`.

    Raises:
        EvaluationError: the models were not scored on the same films in the same order.
    """
    some = same_films([model.scores for model in models.values()])
    influences = {name: _influences(model) for name, model in models.items()}
    pairs: list[JsonDict] = [{"a": a, "b": b} for a, b in combinations(models, 2)]
    for name in DIFFERENCES:
        found = []
        for a, b in combinations(models, 2):
            if name in influences[a]:
                found.append(of_figures(influences[a][name], influences[b][name], some))
            else:
                found.append(of_shares(models[a].right, models[b].right, _films(some, name), some))
        for pair, raw, held in zip(pairs, found, adjusted(found), strict=True):
            pair[name] = asdict(raw) | {"p_holm": held.p}
    return _compared(some, {name: each["auroc"].value for name, each in influences.items()}, pairs)


def compare_mean_auroc(views: Sequence[Mapping[str, Reading]]) -> JsonDict:
    """Return the same for the mean of each model's AUROC over several views of the films."""
    some = same_films([reading.scores for view in views for reading in view.values()])
    influences = {
        name: mean_influence([of_auroc(view[name].scores) for view in views]) for name in views[0]
    }
    names = list(combinations(influences, 2))
    found = [of_figures(influences[a], influences[b], some) for a, b in names]
    pairs: list[JsonDict] = [
        {"a": a, "b": b, "auroc": asdict(raw) | {"p_holm": held.p}}
        for (a, b), raw, held in zip(names, found, adjusted(found), strict=True)
    ]
    return _compared(some, {name: each.value for name, each in influences.items()}, pairs)


def _compared(some: Scores, aurocs: Mapping[str, float], pairs: list[JsonDict]) -> JsonDict:
    return {
        "n": len(some.labels),
        "n_positive": int(some.labels.sum()),
        "alpha": ALPHA,
        "tie_groups": _tie_groups(sorted(aurocs, key=lambda name: -aurocs[name]), pairs),
        "pairs": pairs,
    }


def tied_with(best: str, comparisons: JsonDict) -> set[str]:
    """Return the models whose AUROC does not differ from that of `best`, itself among them."""
    tied = {best}
    for pair in comparisons["pairs"]:
        if best in (pair["a"], pair["b"]) and pair["auroc"]["p_holm"] >= comparisons["alpha"]:
            tied |= {pair["a"], pair["b"]}
    return tied


def distinguished(scores: Scores, threshold: float, reading_aid: float) -> JsonDict:
    """Return whether these films tell a threshold from the reading aid's: `n` films of the class
    that the threshold is for, `num_between` of them read differently, McNemar's `p`, and the
    `films_needed` of this class: null where the films do tell, or none is read differently.
    """
    called, by_aid = scores.reads(threshold), scores.reads(reading_aid)
    films = scores.positive if threshold < reading_aid else ~scores.positive
    n, num_between = int(films.sum()), int((films & (called != by_aid)).sum())
    p = mcnemar(called & films, by_aid & films, scores)
    needed = p >= ALPHA and num_between > 0
    return {
        "n": n,
        "num_between": num_between,
        "p": p,
        "films_needed": -(-LEAST_DISCORDANT * n // num_between) if needed else None,
    }


def _influences(model: Reading) -> dict[str, Influence]:
    statistics = (average_precision, brier, balanced_accuracy)
    return {"auroc": of_auroc(model.scores)} | {
        statistic.__name__: jackknife(statistic, model.scores, model.threshold)
        for statistic in statistics
    }


def _films(scores: Scores, name: str) -> Bools:
    """Return the films whose share of right decisions is the figure."""
    return {
        "accuracy": np.ones_like(scores.positive),
        "sensitivity": scores.positive,
        "specificity": ~scores.positive,
    }[name]


def _tie_groups(ranked: Sequence[str], pairs: Sequence[JsonDict]) -> list[list[str]]:
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
