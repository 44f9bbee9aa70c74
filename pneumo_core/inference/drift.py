"""Drift: do later films differ from those that a model was trained on?

The distributions of a few figures of the films are compared by the two-sample Kolmogorov-Smirnov
test, with one film per patient on both sides, since films of one patient are not independent.
Holm's correction keeps the false-alarm rate of all figures together at `max_false_alarm_rate`,
however they depend on each other. `min_distance` leaves out differences that are certain but small,
which every re-encoding makes.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from pneumo_core.arrays import Floats, Images
from pneumo_core.evaluation.reference import STATISTICS, Numbers, Reference, measure_films
from pneumo_core.evaluation.scoring import Features
from pneumo_core.metrics.paired import holm
from pneumo_core.params import MonitorParams

NUM_DIRECTIONS = 4
MIN_PATIENTS = 10  # fewer cannot show any drift that matters

# None of them depends on a file's encoding, as size, colour mode and sharpness do.
KINDS = {
    "mean": "brightness",
    "std": "contrast",
    "aspect": "geometry",
    "probability": "score",
    "ood_score": "features",
    **{f"direction_{number}": "features" for number in range(1, NUM_DIRECTIONS + 1)},
}


@dataclass(frozen=True)
class FigureDrift:
    figure: str
    kind: str
    distance: float  # of the distributions, 0 to 1
    p: float  # by Holm, one of all figures
    reference_median: float
    median: float
    drifted: bool


def figures_of(
    statistics: Numbers,
    features: Numbers,
    ood_score: Numbers | Floats,
    probabilities: Numbers | Floats,
) -> pd.DataFrame:
    """Return a table with a row per film and a column for each of `KINDS`.

    Args:
        statistics: by `reference.measure_films`, [N, len(STATISTICS)].
        features: by `Reference.project`, [N, K].
    """
    directions = {f"direction_{n + 1}": each for n, each in enumerate(features.T[:NUM_DIRECTIONS])}
    described = dict(zip(STATISTICS, statistics.T, strict=True))
    others = {"probability": probabilities, "ood_score": ood_score} | directions
    columns = described | others
    return pd.DataFrame({name: columns[name] for name in KINDS if name in columns})


def measure(
    reference: Reference,
    films: pd.DataFrame,
    pixels: Images,
    features: Features,
    probabilities: Floats,
) -> pd.DataFrame:
    """Return the figures of a manifest's films, whose pixels [N, H, W] have the bundle's size."""
    return figures_of(
        measure_films(pixels, films["width_px"], films["height_px"]),
        reference.project(features),
        reference.ood_score(features),
        probabilities,
    )


def figures_of_reference(reference: Reference) -> pd.DataFrame:
    return figures_of(
        reference.drift_statistics,
        reference.drift_features,
        reference.drift_ood_scores,
        reference.drift_probabilities,
    )


def compare(
    reference: pd.DataFrame, later: pd.DataFrame, params: MonitorParams
) -> list[FigureDrift]:
    """Return a comparison for each figure of films, one per patient, from `figures_of`."""
    tests = {name: ks_2samp(reference[name], later[name]) for name in reference}
    p_values = holm([test.pvalue for test in tests.values()])
    return [
        FigureDrift(
            figure=name,
            kind=KINDS[name],
            distance=float(test.statistic),
            p=p,
            reference_median=float(np.median(reference[name])),
            median=float(np.median(later[name])),
            drifted=bool(p <= params.max_false_alarm_rate)
            and bool(test.statistic >= params.min_distance),
        )
        for (name, test), p in zip(tests.items(), p_values, strict=True)
    ]


@dataclass(frozen=True)
class Findings:
    """The result of comparing a source with the reference; ingest has not seen `new` films."""

    source: str
    model: str
    num_files: int
    num_new: int
    num_quarantined: int  # of the new ones
    num_labelled: int  # new and readable, each picture once
    num_patients: int  # compared, one film each
    num_reference: int  # films of the reference, one per patient
    comparisons: tuple[FigureDrift, ...]  # none where there are too few patients
    params: MonitorParams
    is_ingested: bool = True  # the pipeline learns from this source
    max_quarantined_fraction: float = 0.0
    main_fault: str = ""  # the most frequent reason of the quarantined ones
    num_erased: int = 0  # films of erased patients, which count nowhere else

    @property
    def drifted(self) -> list[FigureDrift]:
        return [each for each in self.comparisons if each.drifted]

    @property
    def unusable(self) -> str | None:
        """Return an alarm on films that cannot be used, which no training mends."""
        if self.num_quarantined <= self.max_quarantined_fraction * self.num_new:
            return None
        return (
            f"{self.num_quarantined} of {self.num_new} new films cannot be used; "
            f"most often: {self.main_fault}"
        )

    @property
    def reasons(self) -> list[str]:
        """Return why the model should be trained again; empty where it need not."""
        found = [
            f"{each.kind} drifted: {each.figure} from {each.reference_median:.3g} to "
            f"{each.median:.3g} (distance {each.distance:.2f}, p {each.p:.1g})"
            for each in self.drifted
        ]
        if self.num_labelled >= self.params.min_new_films:
            found.append(f"{self.num_labelled} new films with labels")
        return found

    def as_json(self) -> dict[str, Any]:
        params = self.params.model_dump(mode="json")
        return asdict(self) | {"params": params, "reasons": self.reasons, "unusable": self.unusable}
