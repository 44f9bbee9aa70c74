"""The report: one HTML page that opens from disk, needs nothing else and shows what was found.

A pure function of what came in: the same findings give the same bytes.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pneumo_core import charts, manifest
from pneumo_core.bundle import Description
from pneumo_core.charts import Captioned
from pneumo_core.compute import choose_device, to_batch
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation import as_scores
from pneumo_core.images import Gray, Stack
from pneumo_core.manifest import LABELS, POSITIVE, SPLITS
from pneumo_core.metrics import Confusion
from pneumo_core.params import ReportParams
from pneumo_core.saliency import saliency
from pneumo_core.scoring import Scorer
from pneumo_core.templating import environment

MAX_SIDE_PX = 256  # of a film on the page
TITLES = {  # of the figures in `metrics.json`, in the order in which they are shown
    "auroc": "AUROC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "calibration error",
}
PERCENTAGES = {"accuracy", "balanced_accuracy", "sensitivity", "specificity"}
OUTCOMES = ("true positive", "true negative", "false positive", "false negative")

Pixels = npt.NDArray[np.uint8]  # [H, W] gray or [H, W, 3] colour


@dataclass(frozen=True)
class DataFindings:
    source: str  # as in ingest.source
    table: pd.DataFrame  # the manifest after the split
    images: Stack  # row `packed_row` of the manifest
    num_copies: Mapping[str, int]  # augmented training films by label
    certificate: Mapping[str, Any]

    @property
    def is_phantom(self) -> bool:
        return bool((self.table["origin"] == "phantom").all())

    def in_state(self, state: str) -> pd.DataFrame:
        return self.table[self.table["state"] == state]


@dataclass(frozen=True)
class CellFindings:
    description: Description
    val: Mapping[str, Any]  # the content of `metrics.json`
    test: Mapping[str, Any]
    predictions: pd.DataFrame  # on test
    history: pd.DataFrame

    @property
    def name(self) -> str:
        return self.description.name


@dataclass(frozen=True)
class Findings:
    data: DataFindings
    leaderboard: pd.DataFrame
    cells: tuple[CellFindings, ...]  # in the order of the leaderboard: the first one won
    audit: Mapping[str, Any]  # the content of `audit.json`
    provenance: Mapping[str, str]  # what the winner's bundle does not say

    @property
    def winner(self) -> CellFindings:
        return self.cells[0]


@dataclass(frozen=True)
class ShownFilm:
    image_id: str
    label: str
    subtype: str
    probability: float
    outcome: str
    film: str  # data URI
    overlay: str


def render(
    found: Findings, data_figures: Sequence[Captioned], scorer: Scorer, params: ReportParams
) -> str:
    """The page; `scorer` is the winner's, at work here for the saliency only."""
    try:
        shown, obstacle = explain(found, scorer, params), None
    except EvaluationError as error:
        shown, obstacle = [], str(error)
    return _template().render(
        found=found,
        counts=count_films(found.data),
        data_figures={figure.name: figure for figure in data_figures},
        charts=draw_charts(found),
        shown=shown,
        obstacle=obstacle,
        titles=TITLES,
        outcomes=OUTCOMES,
    )


def count_films(data: DataFindings) -> pd.DataFrame:
    """A row for each split and class, in which
    files - quarantined - duplicates + moved = used; moved are whole patients, to validation."""
    index = pd.MultiIndex.from_product([SPLITS, LABELS], names=["split", "label"])

    def count(rows: pd.DataFrame, split: str) -> pd.Series:
        return rows.groupby([split, "label"]).size().reindex(index, fill_value=0)

    counts = pd.DataFrame(
        {
            "files": count(data.table, "source_split"),
            "quarantined": count(data.in_state(manifest.QUARANTINED), "source_split"),
            "duplicates": count(data.in_state(manifest.DUPLICATE), "source_split"),
            "used": count(data.in_state(manifest.KEPT), "split"),
        }
    )
    left = counts["files"] - counts["quarantined"] - counts["duplicates"]
    counts.insert(3, "moved", counts["used"] - left)
    return counts.reset_index()


def draw_charts(found: Findings) -> dict[str, Any]:
    winner = found.winner
    scores = {cell.name: as_scores(cell.predictions) for cell in found.cells}
    losses = [cell.history[["train_loss", "val_loss"]].to_numpy().max() for cell in found.cells]
    return {
        "learning": [charts.learning_curve(c.name, c.history, max(losses)) for c in found.cells],
        "roc": charts.roc_curves(
            scores,
            {c.name: f"{c.name}: {c.test['auroc']['value']:.3f}" for c in found.cells},
            winner.name,
            at=(winner.test["fpr"]["value"], winner.test["sensitivity"]["value"]),
        ),
        "confusion": charts.confusion_matrix(Confusion(**winner.test["confusion"])),
        "reliability": charts.reliability(scores[winner.name]),
    }


def choose_films(
    predictions: pd.DataFrame, threshold: float, num_films: int, seed: int
) -> pd.DataFrame:
    """Films drawn at random in each outcome, as evenly over the outcomes as they allow.

    Adds the column `outcome`; rows in the order of `OUTCOMES`.
    """
    called = predictions["probability"] >= threshold
    ill = predictions["label"] == LABELS[POSITIVE]
    outcome = np.select([called & ill, ~called & ~ill, called & ~ill], OUTCOMES[:3], OUTCOMES[3])
    shuffled = predictions.assign(outcome=pd.Categorical(outcome, OUTCOMES)).sample(
        frac=1, random_state=seed
    )
    turn = shuffled.groupby("outcome", observed=True).cumcount()
    dealt = shuffled.assign(turn=turn).sort_values(["turn", "outcome"]).head(num_films)
    return dealt.sort_values(["outcome", "turn"]).drop(columns="turn")


def explain(found: Findings, scorer: Scorer, params: ReportParams) -> list[ShownFilm]:
    """Test films with what speaks for pneumonia on them.

    Raises:
        EvaluationError: the winner is no network whose saliency has a place.
    """
    chosen = choose_films(
        found.winner.predictions,
        found.winner.test["threshold"],
        params.num_saliency_films,
        params.seed,
    )
    row_of = found.data.table.set_index("image_id")["packed_row"]
    return [
        _explain(film, found.data.images[row_of[film.image_id]], scorer)
        for film in chosen.itertuples()
    ]


def _explain(film: Any, pixels: Gray, scorer: Scorer) -> ShownFilm:
    normalisation = scorer.description.normalisation
    x_BCHW = to_batch(pixels[None], normalisation, choose_device("float32"))
    map_HW = saliency(scorer.model, x_BCHW, POSITIVE)[0].double().cpu().numpy()
    return ShownFilm(
        image_id=film.image_id,
        label=film.label,
        subtype=film.subtype if isinstance(film.subtype, str) else "",
        probability=film.probability,
        outcome=film.outcome,
        film=data_uri(pixels),
        overlay=data_uri(charts.overlay(pixels, map_HW)),
    )


def data_uri(pixels: Pixels) -> str:
    """A JPEG inside the page, no side of it over `MAX_SIDE_PX`."""
    image = Image.fromarray(np.asarray(pixels))
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def show(value: float, name: str) -> str:
    """A figure by its name in `metrics.json`."""
    return f"{value:.1%}" if name in PERCENTAGES else f"{value:.3f}"


def show_interval(figure: Mapping[str, float], name: str) -> str:
    return f"{show(figure['ci_low'], name)}\u2013{show(figure['ci_high'], name)}"


def _template() -> jinja2.Template:
    pages = environment()
    pages.filters |= {"show": show, "interval": show_interval, "thousands": "{:,}".format}
    return pages.get_template("report.html.j2")
