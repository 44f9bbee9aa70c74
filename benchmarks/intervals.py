"""How often the 95 % intervals hold the truth, and how often equal models are called different.

    python benchmarks/intervals.py [--rounds 1000] [--only WORD] [--percentiles]

Test sets of 231 negative and 387 positive films are drawn from a known population,
with patients of the archive's sizes whose films are alike: a film's score is normal, half its
variance is the patient's. A model's probabilities are the true ones, or stretched in log odds.
With --percentiles the usual bootstrap interval, percentiles of draws of patients, stands beside
ours. The script fails where a coverage is outside 93 to 97 %, or equal models are called different
in more than 5 %, by more than 3 standard errors of the simulation.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm

from pneumo_core.arrays import Floats
from pneumo_core.evaluation.operating_point import choose_operating_points
from pneumo_core.metrics import metrics
from pneumo_core.metrics.calibration import reliability_bins
from pneumo_core.metrics.intervals import figures
from pneumo_core.metrics.metrics import Scores, patient_weights, percentile_interval
from pneumo_core.metrics.paired import DIFFERENCES, Reading, compare
from pneumo_core.metrics.predictive import decision_curve, predictive_values
from pneumo_core.params import EvaluateParams

# Films a patient in the archive's test split: how many patients have one, two, ...
WELL_SIZES, ILL_SIZES = (108, 0, 3), (60, 13, 8, 3, 6, 3, 1, 1, 1)
TEST, VALIDATION = (231, 387), (508, 508)
PREVALENCE = 0.2
LOWEST, HIGHEST = 0.93, 0.97
NUM_MODELS = 12

Stated = tuple[str, float, float, float]  # an interval's name, the truth, and the bounds


@dataclass(frozen=True)
class World:
    """Scores are N(0, 1) of the negative and N(gap, 1) of the positive."""

    gap: float
    alike: float = 0.5  # share of the variance that the films of a patient have in common
    stretch: float = 1.0  # of the log odds; 1: calibrated
    threshold: float = 0.5
    films: tuple[int, int] = TEST

    @property
    def prior(self) -> float:
        return float(logit(self.films[1] / sum(self.films)))

    def probability(self, score: Floats) -> Floats:
        return expit(self.stretch * (self.gap * (score - self.gap / 2) + self.prior))

    def score_at(self, probability: Floats) -> Floats:
        return (logit(probability) / self.stretch - self.prior) / self.gap + self.gap / 2

    def sensitivity(self, probability: Floats) -> Floats:
        return norm.sf(self.score_at(probability) - self.gap)

    def specificity(self, probability: Floats) -> Floats:
        return norm.cdf(self.score_at(probability))

    def truth(self, ece_draws: int = 400_000) -> dict[str, float]:
        """Each figure at the threshold; those without a formula from very many films."""
        sensitivity = float(self.sensitivity(self.threshold))
        specificity = float(self.specificity(self.threshold))
        share = self.films[1] / sum(self.films)
        called = share * sensitivity + (1 - share) * (1 - specificity)
        at = (np.arange(ece_draws) + 0.5) / ece_draws
        rows = (round(ece_draws * (1 - share)), round(ece_draws * share))
        score = np.concatenate([norm.ppf((np.arange(n) + 0.5) / n) for n in rows])
        labels = np.repeat([0, 1], rows)
        many = Scores(labels, self.probability(score + self.gap * labels), np.zeros(len(labels)))
        whole = np.ones((1, len(at)))
        return {
            "auroc": float(norm.cdf(self.gap / 2**0.5)),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "accuracy": share * sensitivity + (1 - share) * specificity,
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "f1": 2 * share * sensitivity / (called + share),
            **{
                name: float(getattr(metrics, name)(many, 0, whole)[0])
                for name in ("average_precision", "brier", "ece")
            },
        }


def draw_patients(rng: np.random.Generator, world: World) -> tuple[np.ndarray, np.ndarray]:
    """Labels and patient numbers of a test set."""
    sizes = []
    for label, counts in enumerate((WELL_SIZES, ILL_SIZES)):
        many = rng.choice(len(counts), world.films[label], p=np.array(counts) / sum(counts)) + 1
        last = int(np.searchsorted(np.cumsum(many), world.films[label]))
        many[last] -= many[: last + 1].sum() - world.films[label]
        sizes.append(many[: last + 1])
    patients = np.repeat(np.arange(sum(map(len, sizes))), np.concatenate(sizes))
    return np.repeat([0, 1], world.films), patients


def draw_noise(rng: np.random.Generator, patients: np.ndarray, alike: float) -> Floats:
    of_patient = rng.normal(size=patients.max() + 1)[patients]
    return alike**0.5 * of_patient + (1 - alike) ** 0.5 * rng.normal(size=len(patients))


def draw_models(seed: int, worlds: list[World], shared: float) -> list[Scores]:
    """Models on the same films; `shared` is what their scores have in common beside the label."""
    rng = np.random.default_rng([seed, 618])
    labels, patients = draw_patients(rng, worlds[0])
    common = draw_noise(rng, patients, worlds[0].alike)
    scores = []
    for world in worlds:
        own = draw_noise(rng, patients, world.alike)
        noise = shared**0.5 * common + (1 - shared) ** 0.5 * own
        probabilities = world.probability(world.gap * labels + noise)
        scores.append(Scores(labels, probabilities, patients.astype(np.str_)))
    return scores


def percentile_intervals(world: World, seed: int, truth: dict[str, float]) -> Iterator[Stated]:
    """What the usual bootstrap states."""
    (scores,) = draw_models(seed, [world], 0)
    draws = patient_weights(scores, 1000, seed)
    for name in ("auroc", "average_precision", "balanced_accuracy", "f1", "brier", "ece"):
        values = getattr(metrics, name)(scores, world.threshold, draws)
        yield f"{name} by percentiles", truth[name], *percentile_interval(values)


def figure_intervals(world: World, seed: int, truth: dict[str, float]) -> Iterator[Stated]:
    (scores,) = draw_models(seed, [world], 0)
    found = figures(scores, world.threshold, 500, seed)
    for name, value in truth.items():
        yield name, value, found[name].ci_low, found[name].ci_high


def predictive_intervals(world: World, seed: int, truth: dict[str, float]) -> Iterator[Stated]:
    (scores,) = draw_models(seed, [world], 0)
    at = predictive_values(scores, world.threshold, PREVALENCE)
    positive, negative = truth["sensitivity"] * PREVALENCE, truth["specificity"] * (1 - PREVALENCE)
    expected = {
        "ppv": positive / (positive + 1 - PREVALENCE - negative),
        "npv": negative / (negative + PREVALENCE - positive),
        "right of 1,000": 1000 * (positive + negative),
    }
    at["right of 1,000"] = at["per_1000"]["right"]
    for name, value in expected.items():
        if at[name] is not None:
            yield name, value, at[name]["ci_low"], at[name]["ci_high"]
    own = world.films[1] / sum(world.films)
    curve = decision_curve(scores, own, PREVALENCE)
    for index in (2, 10, 25):
        cost = curve["threshold"][index] / (1 - curve["threshold"][index])
        there = expit(logit(curve["threshold"][index]) + logit(own) - logit(PREVALENCE))
        false = 1 - world.specificity(there)
        value = PREVALENCE * world.sensitivity(there) - (1 - PREVALENCE) * cost * false
        name = f"net benefit at {curve['threshold'][index]:.2f}"
        yield name, value, curve["ci_low"][index], curve["ci_high"][index]
    true = expit(logit(scores.probabilities) / world.stretch)
    for each in reliability_bins(scores):
        inside = (scores.probabilities >= each["low"]) & (scores.probabilities <= each["high"])
        share = each["share_positive"]
        yield "reliability bins", true[inside].mean(), share["ci_low"], share["ci_high"]


def threshold_intervals(world: World, seed: int, _: dict[str, float]) -> Iterator[Stated]:
    """Thresholds of the best balance, and of the sensitivity and specificity aimed at."""
    (scores,) = draw_models(seed, [world], 0)
    points = choose_operating_points(scores, EvaluateParams(num_draws=500, seed=seed))
    best = float(world.probability(np.array(world.gap / 2)))
    for name, point in points.items():
        value = best
        if name != "reading_aid":
            share = world.sensitivity if name == "screening" else world.specificity
            films = scores.positive if name == "screening" else ~scores.positive
            right = scores.reads(point.threshold) == scores.positive
            level = right[films].mean()
            value = brentq(lambda p, s=share, a=level: s(p) - a, 1e-9, 1 - 1e-9)
        yield f"threshold of {name}", value, point.ci_low, point.ci_high


def difference_intervals(
    worlds: list[World], shared: float, seed: int, truths: list[dict[str, float]]
) -> Iterator[Stated]:
    pair = draw_models(seed, worlds, shared)
    readings = {
        name: Reading(s, w.threshold) for name, s, w in zip("ab", pair, worlds, strict=True)
    }
    (found,) = compare(readings)["pairs"]
    for name in DIFFERENCES:
        value = truths[0][name] - truths[1][name]
        yield f"difference of {name}", value, found[name]["ci_low"], found[name]["ci_high"]


def called_different(world: World, shared: float, num_models: int, seed: int) -> dict[str, bool]:
    """Share of equal models that are called different, by p or by Holm's of several."""
    models = draw_models(seed, [world] * num_models, shared)
    names = [f"model {number}" for number in range(num_models)]
    pairs = compare(
        {name: Reading(s, world.threshold) for name, s in zip(names, models, strict=True)}
    )["pairs"]
    if num_models > 2:
        least = min(pair["auroc"]["p_holm"] for pair in pairs)
        return {f"any of {num_models} models by AUROC": least < 0.05}
    return {f"two models by {name}": pairs[0][name]["p"] < 0.05 for name in DIFFERENCES}


class Tally:
    def __init__(self, rounds: int) -> None:
        self.rounds, self.faults = rounds, 0

    def coverage(self, title: str, stated: Callable[[int], Iterator[Stated]]) -> None:
        """Prints how often each interval holds the truth, and how often that lies below, above."""
        held: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        for seed in range(self.rounds):
            for name, truth, low, high in stated(seed):
                held[name].append((truth < low - 1e-9, truth > high + 1e-9))
        print(title)
        for name, missed in held.items():
            below, above = np.mean(missed, axis=0)
            covered = 1 - below - above
            slack = 3 * (0.05 * 0.95 / self.rounds) ** 0.5
            wrong = not LOWEST - slack <= covered <= HIGHEST + slack
            ours = "percentiles" not in name
            self.faults += wrong and ours
            mark = "  <-- outside" if wrong else ""
            print(f"  {name:34} {covered:6.1%}  [{below:.1%}, {above:.1%}]{mark}", flush=True)

    def equal(self, title: str, different: Callable[[int], dict[str, bool]]) -> None:
        found = [different(seed) for seed in range(self.rounds)]
        slack = 3 * (0.05 * 0.95 / self.rounds) ** 0.5
        print(title)
        for name in found[0]:
            rate = float(np.mean([each[name] for each in found]))
            wrong = rate > 0.05 + slack
            self.faults += wrong
            print(f"  {name:34} {rate:6.1%}{'  <-- outside' if wrong else ''}", flush=True)


WORLDS = (  # AUROC .856, .961, .961, .988, .998
    World(1.5),
    World(2.5, alike=0.0),
    World(2.5, stretch=2.0, threshold=0.2),
    World(3.2, stretch=1.5),
    World(4.0, threshold=0.3),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--only", choices=("figures", "predictive", "thresholds", "pairs", "equal"))
    parser.add_argument("--percentiles", action="store_true")
    asked = parser.parse_args()
    tally = Tally(asked.rounds)

    def wanted(part: str) -> bool:
        return asked.only in (None, part)

    for world in WORLDS:
        truth = world.truth()
        if wanted("figures"):
            tally.coverage(f"{world}", lambda s, w=world, t=truth: figure_intervals(w, s, t))
            if asked.percentiles:
                tally.coverage("", lambda s, w=world, t=truth: percentile_intervals(w, s, t))
        if wanted("predictive"):
            tally.coverage(f"{world}", lambda s, w=world, t=truth: predictive_intervals(w, s, t))
        if wanted("thresholds"):
            val = World(world.gap, world.alike, world.stretch, films=VALIDATION)
            tally.coverage(f"{val}", lambda s, w=val, t=truth: threshold_intervals(w, s, t))
        if wanted("pairs"):
            other = World(world.gap + 0.3, world.alike, threshold=world.threshold)
            both, truths = [world, other], [truth, other.truth()]
            tally.coverage(
                f"{world} less {other}",
                lambda s, w=both, t=truths: difference_intervals(w, 0.7, s, t),
            )
    if wanted("equal"):
        for world in (World(2.5), World(3.2)):
            for count in (2, NUM_MODELS):
                tally.equal(
                    f"{count} models, {world}",
                    lambda s, w=world, n=count: called_different(w, 0.7, n, s),
                )
    print(f"{tally.faults} outside")
    sys.exit(tally.faults > 0)


if __name__ == "__main__":
    main()
