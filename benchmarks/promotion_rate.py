"""How often a challenger that is just as good as the champion is promoted, and one that is better.

    python benchmarks/promotion_rate.py [--rounds 1000]

Each round draws patients of one to four films, hard or easy for any model, and two models that err
apart on them. Both are taken to have passed their own gates and are compared as the policy says. Of
the equally good at most 5 % may be promoted. Beside it is what a bare comparison of the policy's
figure (challenger >= champion) would do. In the chain all challengers meet the same films, and one
that is promoted is the champion of the next.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pneumo_core.arrays import Floats, Ints
from pneumo_core.metrics.intervals import at_threshold, auroc
from pneumo_core.metrics.metrics import Scores
from pneumo_core.metrics.paired import Reading
from pneumo_core.promotion import policy as policies
from pneumo_core.promotion.policy import Policy
from pneumo_core.promotion.promotion import Champion, comparison_gates

ROLES = Path(__file__).parent.parent / "mlflow" / "roles"
THRESHOLD = {"champion": 0.5, "screening": 0.2}
STATED = 0.05
NOISE = 1.0  # of a model, beside that of the films


@dataclass(frozen=True)
class Films:
    labels: Ints  # [N]
    patients: Ints  # [N]
    evidence: Floats  # [N], log odds that any model can see

    @classmethod
    def draw(cls, num_films: int, rng: np.random.Generator) -> "Films":
        """Three in five are positive, as in the archive."""
        patients = np.repeat(np.arange(num_films), rng.integers(1, 5, num_films))[:num_films]
        labels = (rng.random(num_films) < 0.6)[patients].astype(np.int64)
        of_patient, own = rng.normal(0, 1.0, num_films)[patients], rng.normal(0, 1.0, num_films)
        return cls(labels, patients, 4.0 * labels - 2.0 + of_patient + own)

    def read(self, noise: float, threshold: float, rng: np.random.Generator) -> Reading:
        """By a model that adds noise of its own, a part of it the same for all of a patient."""
        of_patient = rng.normal(0, noise, len(self.labels))[self.patients]
        logits = self.evidence + (of_patient + rng.normal(0, noise, len(self.labels))) / 2**0.5
        probabilities = 1 / (1 + np.exp(-logits))
        return Reading(Scores(self.labels, probabilities, self.patients.astype(np.str_)), threshold)


def is_promoted(new: Reading, old: Reading, policy: Policy) -> bool:
    return all(gate.passed for gate in comparison_gates(new, Champion("old", old), policy))


def figure(reading: Reading, name: str) -> float:
    found = at_threshold(reading.scores, reading.threshold) | {"auroc": auroc(reading.scores)}
    return found[name].value


def rates(role: str, num_films: int, noise: float, rounds: int) -> tuple[float, float]:
    """Promoted by the policy and by a bare comparison, for challengers of this noise."""
    policy = policies.load(ROLES / f"{role}.yaml")
    promoted = bare = 0
    for seed in range(rounds):
        rng = np.random.default_rng([seed, num_films])
        seen = Films.draw(num_films, rng)
        new, old = (seen.read(each, THRESHOLD[role], rng) for each in (noise, NOISE))
        promoted += is_promoted(new, old, policy)
        bare += figure(new, policy.improve) >= figure(old, policy.improve)
    return promoted / rounds, bare / rounds


def chain(role: str, num_films: int, rounds: int) -> float:
    policy = policies.load(ROLES / f"{role}.yaml")
    rng = np.random.default_rng(num_films)
    seen = Films.draw(num_films, rng)
    champion = seen.read(NOISE, THRESHOLD[role], rng)
    promoted = 0
    for _ in range(rounds):
        new = seen.read(NOISE, THRESHOLD[role], rng)
        if is_promoted(new, champion, policy):
            promoted, champion = promoted + 1, new
    return promoted / rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    print(f"{rounds} challengers each; stated: at most {STATED:.0%} of those just as good")
    for role in THRESHOLD:
        for num_films in (100, 618):
            same, bare = rates(role, num_films, NOISE, rounds)
            better, _ = rates(role, num_films, NOISE / 3, rounds // 5)
            print(
                f"{role:10} {num_films} films: just as good {same:.1%} (bare >=: {bare:.1%}), "
                f"in a chain {chain(role, num_films, rounds):.1%}; better ones {better:.1%}",
                flush=True,
            )
            if same > STATED:
                raise SystemExit("more than stated")


if __name__ == "__main__":
    main()
