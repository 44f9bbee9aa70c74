"""The section on single films, with their saliency maps."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from pneumo_core.arrays import Floats, Images
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.saliency import map_films, overlay
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.labels import LABELS, POSITIVE
from pneumo_core.params import ReportParams
from pneumo_core.report.blocks import Block, Column, Film, Films, Paragraph, Subheading, Table
from pneumo_core.report.findings import Findings
from pneumo_core.report.words import Words

MAX_SIDE_PX = 256  # of a film on the page
OUTCOMES = ("true_positive", "true_negative", "false_positive", "false_negative")

Pixels = npt.NDArray[np.uint8]  # [H, W] gray or [H, W, 3] colour


@dataclass(frozen=True)
class ShownFilm:
    image_id: str
    label: str
    subtype: str | None
    probability: float
    outcome: str
    chosen: str  # `random` or `worst`
    film: str  # data URI
    overlay: str


@dataclass(frozen=True)
class Shown:
    """Films with their maps; `brightest` is the log odds per cell of the brightest colour."""

    films: tuple[ShownFilm, ...]
    threshold: float
    brightest: float


def choose_films(predictions: pd.DataFrame, threshold: float, params: ReportParams) -> pd.DataFrame:
    """Return the films to show, chosen by rule, with the columns `outcome` and `chosen`.

    `worst` are the errors furthest from the threshold, of both kinds in turn; `random` are others,
    drawn as evenly over the four outcomes as possible.
    """
    called = predictions["probability"] >= threshold
    positive = predictions["label"] == LABELS[POSITIVE]
    hits = [called & positive, ~called & ~positive, called & ~positive]
    outcome = np.select(hits, OUTCOMES[:3], OUTCOMES[3])
    films = predictions.assign(outcome=pd.Categorical(outcome, OUTCOMES))
    wrong = films[films["outcome"].isin(OUTCOMES[2:])]
    by_size = (wrong["probability"] - threshold).abs().sort_values(ascending=False, kind="stable")
    worst = _deal(wrong.loc[by_size.index], params.num_worst_films).assign(chosen="worst")
    shuffled = films.drop(index=worst.index).sample(frac=1, random_state=params.seed)
    drawn = _deal(shuffled, params.num_saliency_films).assign(chosen="random")
    return pd.concat([drawn, worst])


def _deal(films: pd.DataFrame, num: int) -> pd.DataFrame:
    """Return the first films of each outcome in turn, sorted by outcome."""
    turn = films.groupby("outcome", observed=True).cumcount()
    dealt = films.assign(turn=turn).sort_values(["turn", "outcome"], kind="stable").head(num)
    return dealt.sort_values(["outcome", "turn"]).drop(columns="turn")


def show_cases(found: Findings, scorer: Scorer, params: ReportParams) -> Shown | None:
    """Return chosen test films with the winner's maps; None for a model without maps."""
    threshold = found.winner.test["threshold"]
    chosen = choose_films(found.winner.predictions, threshold, params)
    row_of = found.data.table.set_index("image_id")["packed_row"]
    rows = row_of[chosen["image_id"]].to_numpy(np.int64)
    try:
        return explain(chosen, np.asarray(found.data.images[rows]), threshold, scorer)
    except EvaluationError:
        return None


def explain(chosen: pd.DataFrame, pixels: Images, threshold: float, scorer: Scorer) -> Shown:
    """Return the films [N, H, W] of the rows `chosen` with their maps, on one scale.

    Raises:
        EvaluationError: the model has no map; see `hirescam.last_spatial_layer`.
    """
    if chosen.empty:
        return Shown((), threshold, 0.0)
    maps = map_films(scorer.engine, pixels)
    brightest = float(maps.max())
    scaled = maps / (brightest or 1.0)
    rows = zip(chosen.itertuples(), pixels, scaled, strict=True)
    return Shown(tuple(_show(*row) for row in rows), threshold, brightest)


def _show(row: Any, pixels: Pixels, scaled: Floats) -> ShownFilm:
    return ShownFilm(
        image_id=row.image_id,
        label=row.label,
        subtype=row.subtype if isinstance(row.subtype, str) else None,
        probability=float(row.probability),
        outcome=str(row.outcome),
        chosen=row.chosen,
        film=data_uri(pixels),
        overlay=data_uri(overlay(pixels, scaled)),
    )


def data_uri(pixels: Pixels) -> str:
    """Return a JPEG as a data URI, each side at most `MAX_SIDE_PX`."""
    image = Image.fromarray(np.asarray(pixels))
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def build(shown: Shown | None, found: Findings, words: Words) -> list[Block]:
    """Return the section; `shown` is None where the model has no map."""
    if shown is None:
        return [Paragraph(words("cases.no_maps"))]
    blocks: list[Block] = []
    if shown.films:
        top = words.number(shown.brightest)
        films = tuple(_block(film, shown.threshold, words) for film in shown.films)
        blocks += [Paragraph(words("cases.meaning")), Paragraph(words("cases.rule"), "quiet")]
        blocks += [Films(films, words("cases.ramp", brightest=top))]
    if found.saliency is not None:
        checks = _checks(found.saliency, found.audited_split, words)
        blocks += [Subheading(words("cases.sanity")), *checks]
    return blocks or [Paragraph(words("cases.none_asked"))]


def _block(film: ShownFilm, threshold: float, words: Words) -> Film:
    label = words(f"label.{film.label}")
    if film.subtype and words.has(f"subtype.{film.subtype}"):
        label = words("cases.with_subtype", label=label, subtype=words(f"subtype.{film.subtype}"))
    outcome = words(f"outcome.{film.outcome}")
    values = {"p": words.number(film.probability), "threshold": words.number(threshold)}
    return Film(
        film.film,
        film.overlay,
        film.probability,
        threshold,
        title=words(f"cases.{film.chosen}", outcome=outcome),
        text=words("cases.reading", label=label, **values),
        name=film.image_id,
        alternative=words("cases.film", label=label),
        overlay_alternative=words("cases.overlay"),
    )


def _checks(checks: Mapping[str, Any], split: str, words: Words) -> list[Block]:
    columns = [Column(words("cases.what"))]
    columns += [Column(words(f"cases.{name}"), True) for name in ("figure", "interval")]
    columns += [Column(words("cases.reference"), True)]
    limit = words.number(checks["max_similarity"], 1)
    rows = [
        (
            words("cases.similarity", what=words(f"cases.{what}")),
            words.number(each["value"]),
            words.range(words.number(each["ci_low"]), words.number(each["ci_high"])),
            words("cases.expected_similarity", limit=limit),
        )
        for what, each in checks["similarity"].items()
    ]
    rows += [
        (
            words(f"cases.{place}"),
            words.percent(each["value"]),
            words.range(words.percent(each["ci_low"]), words.percent(each["ci_high"])),
            words("cases.expected_area", area=words.percent(each["area"])),
        )
        for place, each in checks["places"].items()
    ]
    verdict = "passed" if checks["passed"] else "not_passed"
    return [
        Paragraph(words("cases.sanity_meaning", n=checks["n"], split=words.split(split))),
        Table(tuple(columns), tuple(rows)),
        Paragraph(f"{words(f'cases.{verdict}')} {words('cases.places_meaning')}"),
    ]
