"""How often the 95 % intervals hold the truth, and how often equal models are called different.

    python benchmarks/intervals.py [--rounds 1000] [--only figures|equal]

Test sets of 231 negative and 387 positive films are drawn from a known population, with patients of
the archive's sizes whose films are alike: a film's score is normal, half its variance is the
patient's. A model's probabilities are the true ones, or stretched in log odds. The script fails
where a coverage is outside 93 to 97 %, or equal models are called different in more than 5 %, by
more than 3 standard errors of the simulation.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm

from pneumo_core.arrays import Floats
from pneumo_core.metrics import metrics
from pneumo_core.metrics.intervals import figures
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.paired import DIFFERENCES, Reading, compare

# Films a patient in the archive's test split: how many patients have one, two, ...
SIZES = ((108, 0, 3), (60, 13, 8, 3, 6, 3, 1, 1, 1))
NUM_FILMS = (231, 387)
SHARE = NUM_FILMS[1] / sum(NUM_FILMS)
LOWEST, HIGHEST, MOST_DIFFERENT = 0.93, 0.97, 0.05
MARK = "  <-- outside"
SHARED = 0.7  # of the variance that two models of the same films have in common


@dataclass(frozen=True)
class World:
    """Scores are N(0, 1) of the negative and N(gap, 1) of the positive."""

    gap: float
    alike: float = 0.5  # share of the variance that the films of a patient have in common
    stretch: float = 1.0  # of the log odds; 1: calibrated
    threshold: float = 0.5

    def probability(self, score: Floats) -> Floats:
        return expit(self.stretch * (self.gap * (score - self.gap / 2) + logit(SHARE)))

    def truth(self, num_draws: int = 400_000) -> dict[str, float]:
        """Each figure at the threshold; those without a formula from very many films."""
        cut = (logit(self.threshold) / self.stretch - logit(SHARE)) / self.gap + self.gap / 2
        sensitivity, specificity = float(norm.sf(cut - self.gap)), float(norm.cdf(cut))
        called = SHARE * sensitivity + (1 - SHARE) * (1 - specificity)
        rows = (round(num_draws * (1 - SHARE)), round(num_draws * SHARE))
        score = np.concatenate([norm.ppf((np.arange(n) + 0.5) / n) for n in rows])
        labels = np.repeat([0, 1], rows)
        many = Scores(labels, self.probability(score + self.gap * labels), np.zeros(len(labels)))
        whole = np.ones((1, len(labels)))
        return {
            "auroc": float(norm.cdf(self.gap / 2**0.5)),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "accuracy": SHARE * sensitivity + (1 - SHARE) * specificity,
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "f1": 2 * SHARE * sensitivity / (called + SHARE),
            **{
                name: float(getattr(metrics, name)(many, 0, whole)[0])
                for name in ("average_precision", "brier", "ece")
            },
        }


WORLDS = (  # AUROC .856, .961, .961, .988, .998
    World(1.5),
    World(2.5, alike=0.0),
    World(2.5, stretch=2.0, threshold=0.2),
    World(3.2, stretch=1.5),
    World(4.0, threshold=0.3),
)


def draw_patients(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels and patient numbers of a test set."""
    sizes = []
    for num_films, counts in zip(NUM_FILMS, SIZES, strict=True):
        many = rng.choice(len(counts), num_films, p=np.array(counts) / sum(counts)) + 1
        last = int(np.searchsorted(np.cumsum(many), num_films))
        many[last] -= many[: last + 1].sum() - num_films
        sizes.append(many[: last + 1])
    patients = np.repeat(np.arange(sum(map(len, sizes))), np.concatenate(sizes))
    return np.repeat([0, 1], NUM_FILMS), patients


def draw_noise(rng: np.random.Generator, patients: np.ndarray, alike: float) -> Floats:
    of_patient = rng.normal(size=patients.max() + 1)[patients]
    return alike**0.5 * of_patient + (1 - alike) ** 0.5 * rng.normal(size=len(patients))


def draw_models(seed: int, world: World, num_models: int, shared: float) -> list[Scores]:
    """Equal models on the same films; `shared` is of the variance beside the label."""
    rng = np.random.default_rng([seed, 618])
    labels, patients = draw_patients(rng)
    common = draw_noise(rng, patients, world.alike)
    scores = []
    for _ in range(num_models):
        own = draw_noise(rng, patients, world.alike)
        noise = shared**0.5 * common + (1 - shared) ** 0.5 * own
        probabilities = world.probability(world.gap * labels + noise)
        scores.append(Scores(labels, probabilities, patients.astype(np.str_)))
    return scores


def show_coverage(world: World, rounds: int, slack: float) -> int:
    """How many figures are outside; prints how often the truth lies below and above."""
    truth, num_outside = world.truth(), 0
    missed: dict[str, list[tuple[bool, bool]]] = {name: [] for name in truth}
    for seed in range(rounds):
        (scores,) = draw_models(seed, world, 1, 0)
        found = figures(scores, world.threshold, 500, seed)
        for name, value in truth.items():
            low, high = found[name].ci_low, found[name].ci_high
            missed[name].append((value < low - 1e-9, value > high + 1e-9))
    print(world)
    for name, each in missed.items():
        below, above = np.mean(each, axis=0)
        covered = 1 - below - above
        outside = not LOWEST - slack <= covered <= HIGHEST + slack
        num_outside += outside
        print(f"  {name:20} {covered:6.1%}  [{below:.1%}, {above:.1%}]{MARK * outside}", flush=True)
    return num_outside


def show_equal(world: World, rounds: int, slack: float) -> int:
    """How many figures call two equal models different too often."""
    called = dict.fromkeys(DIFFERENCES, 0)
    for seed in range(rounds):
        a, b = (Reading(s, world.threshold) for s in draw_models(seed, world, 2, SHARED))
        (pair,) = compare({"a": a, "b": b})["pairs"]
        for name in DIFFERENCES:
            called[name] += pair[name]["p"] < 0.05
    print(f"two equal models, {world}")
    num_outside = 0
    for name, count in called.items():
        outside = count / rounds > MOST_DIFFERENT + slack
        num_outside += outside
        print(f"  {name:20} {count / rounds:6.1%}{MARK * outside}", flush=True)
    return num_outside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--only", choices=("figures", "equal"))
    asked = parser.parse_args()
    slack, num_outside = 3 * (0.05 * 0.95 / asked.rounds) ** 0.5, 0
    if asked.only != "equal":
        num_outside += sum(show_coverage(world, asked.rounds, slack) for world in WORLDS)
    if asked.only != "figures":
        worlds = (World(2.5), World(3.2))
        num_outside += sum(show_equal(world, asked.rounds, slack) for world in worlds)
    print(f"{num_outside} outside")
    sys.exit(num_outside > 0)


if __name__ == "__main__":
    main()
