"""The input of a report: the results of a pipeline, or of one model on films of any source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pneumo_core.arrays import Stack
from pneumo_core.evaluation.evaluation import as_scores
from pneumo_core.evaluation.measurement import mean_value
from pneumo_core.labels import LABELS
from pneumo_core.metrics.metrics import Scores
from pneumo_core.models.bundle import Description
from pneumo_core.sources.facts import KERMANY_KAGGLE

ARCHIVE = KERMANY_KAGGLE.num_films

Metrics = Mapping[str, Any]  # the content of a `metrics.json`


@dataclass(frozen=True)
class DataFindings:
    """`certificate` and `num_augmented` are None outside the pipeline."""

    source: str  # as in ingest.source
    table: pd.DataFrame  # the manifest: after the split, or of what was scored
    images: Stack  # row `packed_row` of the manifest
    num_augmented: Mapping[str, int] | None = None  # augmented training films by label
    certificate: Mapping[str, Any] | None = None

    @property
    def is_phantom(self) -> bool:
        return bool((self.table["origin"] == "phantom").all())

    @property
    def is_public_archive(self) -> bool:
        """Whether train has the counts of the archive that the study used."""
        return self.has_all_of_archive("train")

    def has_all_of_archive(self, split: str) -> bool:
        """Whether a split of the source has as many files of each label as the public archive."""
        counts = self.table[self.table["source_split"] == split]["label"].value_counts()
        return all(counts.get(name, 0) == ARCHIVE[f"{split}/{name}"] for name in LABELS)

    def num_files(self, split: str) -> int:
        """Count of files in a split of the source, also those that were not kept."""
        return int((self.table["source_split"] == split).sum())

    def in_state(self, state: str) -> pd.DataFrame:
        return self.table[self.table["state"] == state]


@dataclass(frozen=True)
class CellFindings:
    """`val`, `shifted` and `history` are None outside the pipeline."""

    description: Description
    test: Metrics
    predictions: pd.DataFrame  # on test
    val: Metrics | None = None
    shifted: Metrics | None = None  # on the films of `val` as another place might take them
    history: pd.DataFrame | None = None

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def choice_auroc(self) -> float:
        """Mean AUROC of both validations, which sorts the leaderboard."""
        assert self.val is not None
        assert self.shifted is not None
        mean = mean_value((self.val, self.shifted), "auroc")
        assert mean is not None
        return mean

    @property
    def points(self) -> Mapping[str, Any]:
        """Return the operating points on test, by name."""
        points: Mapping[str, Any] = self.test["operating_points"]
        return points

    @property
    def scores(self) -> Scores:
        return as_scores(self.predictions)


@dataclass(frozen=True)
class ExternalSet:
    """The winner on films from elsewhere."""

    name: str
    source: str  # as in evaluate.external
    described: Mapping[str, Any]  # the content of `set.json` (`inference/external.py`)
    metrics: Metrics
    drift: Sequence[Mapping[str, Any]]  # a comparison for each figure; empty: too few patients

    @property
    def is_external(self) -> bool:
        """Whether it shares no film and no patient with the model's own data."""
        return bool(self.described["is_external"])


@dataclass(frozen=True)
class Findings:
    data: DataFindings
    cells: tuple[CellFindings, ...]  # in the order of the leaderboard: the first one won
    provenance: Mapping[str, str]  # in addition to the winner's bundle
    tied: frozenset[str] = frozenset()  # cells that this AUROC cannot tell from the winner
    recipe: str | None = None  # of augmentation
    audit: Mapping[str, Any] | None = None  # the content of `audit.json`
    audited_split: str = "val"  # the films of the next two
    robustness: Mapping[str, Any] | None = None  # of `winner.json`
    saliency: Mapping[str, Any] | None = None
    occlusion: Mapping[str, Any] | None = None
    external: tuple[ExternalSet, ...] = ()

    @property
    def winner(self) -> CellFindings:
        return self.cells[0]
