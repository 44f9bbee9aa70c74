"""How fast each architecture trains by each strategy here, and beside what: one run, one table.

The films are drawn, so that no data are needed; speed does not depend on weights, so that no
pretrained ones are either.
"""

import hashlib
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from pneumo_core.data.images import decode
from pneumo_core.data.packed import PackedImages, packing
from pneumo_core.experiments.ceiling import measure_ceiling
from pneumo_core.experiments.plain_loop import Job, plain_steps, timm_steps
from pneumo_core.experiments.stopwatch import Rates, Stopwatch, TimeIsUp, measure
from pneumo_core.labels import LABELS
from pneumo_core.models.compute import choose_device
from pneumo_core.params import StrategyParams, TrainParams
from pneumo_core.sources.phantom import PhantomParams, PhantomSource, PhantomSplit
from pneumo_core.training.context import Cell
from pneumo_core.training.training import LabelledFilms, train

NUM_BATCHES = 16  # of drawn films
MAX_EPOCHS = 100  # of a training whose time is not up before
MAX_PIXELS = 10**7  # of a drawn film
WAYS = 4  # of each cell: ours, the ceiling, the plain loop, timm's settings


@dataclass(frozen=True)
class CellRates:
    """One cell; all rates are images a second.

    Where frozen layers are cached, ours and the ceiling are those of `epochs` epochs with the
    making of the cache, and `steady_...` those of an epoch once it is made.
    """

    model: str
    strategy: str
    image_size: int
    batch: int
    device: str
    images_per_second: float
    ceiling_images_per_second: float
    plain_images_per_second: float
    timm_images_per_second: float
    steady_images_per_second: float
    steady_ceiling_images_per_second: float
    cached: bool
    epochs: int
    precision: str
    num_films: int
    device_name: str


def benchmark(params: TrainParams, image_size_px: int, seconds: float) -> list[CellRates]:
    """Measure every cell of `params`, each way for `seconds`; a cache is always made whole."""
    cells = [Cell(model, strategy) for model in params.models for strategy in params.strategies]
    params = params.model_copy(update={"weights": "none"})
    with (
        tempfile.TemporaryDirectory() as scratch,
        tqdm(total=WAYS * len(cells), desc="benchmark", disable=None, unit="rate") as bar,
    ):
        films = _draw_films(Path(scratch), NUM_BATCHES * params.batch_size, image_size_px)
        return [_measure(cell, params, films, Path(scratch), seconds, bar) for cell in cells]


def _draw_films(folder: Path, count: int, size_px: int) -> LabelledFilms:
    """Draw films, write them as JPEGs with one folder per class, and pack them."""
    none = PhantomSplit(NORMAL=0, PNEUMONIA=0)
    half = PhantomSplit(NORMAL=count // 2, PNEUMONIA=count - count // 2)
    source = PhantomSource(PhantomParams(kind="phantom", seed=0, train=half, val=none, test=none))
    labels = []
    with packing(folder / "packed", size_px, "drawn") as packer:
        for file in source.files():
            jpeg = file.read()
            path = folder / "jpeg" / file.label / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
            film = decode(jpeg, MAX_PIXELS, size_px=size_px)
            key = hashlib.sha256(jpeg).hexdigest()
            packer.add(key, film.squared(size_px))
            labels.append(LABELS.index(file.label))
    return LabelledFilms(PackedImages.open(folder / "packed"), np.array(labels))


def _measure(
    cell: Cell,
    params: TrainParams,
    films: LabelledFilms,
    scratch: Path,
    seconds: float,
    bar: "tqdm[None]",
) -> CellRates:
    device = choose_device(params.precision)
    place = device.torch_device
    chosen, size_px = params.of(cell.strategy), films.images.shape[1]
    job = Job(
        scratch / "jpeg",
        cell.architecture,
        cell.strategy,
        size_px,
        params.batch_size,
        chosen.lr,
    )

    def done(rates: Rates) -> Rates:
        bar.update()
        return rates

    bar.set_postfix_str(cell.name)
    ours = done(_ours(cell, params, films, scratch / cell.name, seconds))
    ceiling = done(measure_ceiling(cell, params, size_px, seconds / 2))
    plain = done(Rates(measure(plain_steps(job, place), seconds, place)))
    by_timm = done(Rates(measure(timm_steps(job, place), seconds, place)))
    return CellRates(
        model=cell.architecture,
        strategy=cell.strategy.value,
        image_size=size_px,
        batch=params.batch_size,
        device=place.type,
        images_per_second=ours.over(chosen.epochs),
        ceiling_images_per_second=ceiling.over(chosen.epochs),
        plain_images_per_second=plain.step,
        timm_images_per_second=by_timm.step,
        steady_images_per_second=ours.step,
        steady_ceiling_images_per_second=ceiling.step,
        cached=ours.cache is not None,
        epochs=chosen.epochs,
        precision=device.precision,
        num_films=len(films.labels),
        device_name=_name(place),
    )


def _ours(
    cell: Cell, params: TrainParams, films: LabelledFilms, scratch: Path, seconds: float
) -> Rates:
    """The training itself, stopped when the time is up; its validation has one film a class."""
    longer = StrategyParams(lr=params.of(cell.strategy).lr, epochs=MAX_EPOCHS)
    rows = [int(np.flatnonzero(films.labels == label)[0]) for label in range(len(LABELS))]
    val_films = LabelledFilms(films.images[rows], films.labels[rows])
    watch = Stopwatch(seconds, choose_device(params.precision).torch_device)
    with suppress(TimeIsUp):
        changed = params.model_copy(update={cell.strategy.value: longer})
        train(cell, films, val_films, changed, scratch, watch)
    return watch.rates


def _name(place: torch.device) -> str:
    if place.type == "cuda":
        return torch.cuda.get_device_name(place)
    return f"CPU, {torch.get_num_threads()} threads"
