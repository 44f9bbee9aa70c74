"""What each ingredient of the training recipe is worth, three seeds each, no test film read.

    python benchmarks/ingredients.py OUT [--size-per-class N] [--seeds N] [--elsewhere SOURCE]

Run in a project whose split stage has run on the public archive. Every variant trains the partial
cell as `params.yaml` has it but for one thing, on the same films, and is judged on three sets:
`validation`; `shifted` (`evaluation/shifted.py`); and `batch`, the earliest fifth of the training
films by their number, whole patients, which nothing trains on: films that were taken before all
others, as those of the official test split were. `elsewhere` is a fourth: all films of a labelled
source of another place. OUT gets a file for each training, so that an interrupted run goes on, then
`ingredients.json` and `ingredients.md`.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from timm.optim import param_groups_layer_decay
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pneumo_core import params
from pneumo_core.arrays import Floats
from pneumo_core.atomic import replacing_file, write_json, write_text
from pneumo_core.data import manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.data.views import VIEWS
from pneumo_core.evaluation.any_source import inventory_of
from pneumo_core.evaluation.operating_point import choose_operating_points
from pneumo_core.evaluation.shifted import shifted
from pneumo_core.labels import LABELS
from pneumo_core.metrics.differences import Difference
from pneumo_core.metrics.metrics import Scores, auroc, patient_weights, percentile_interval
from pneumo_core.metrics.paired import adjusted
from pneumo_core.models.compute import choose_device, to_batch
from pneumo_core.models.strategies import cut, freeze
from pneumo_core.models.weights import create_model
from pneumo_core.params import AugmentParams, EvaluateParams, Strategy, TrainParams
from pneumo_core.preparation.augmentation import augment, plan
from pneumo_core.preparation.recipes import RECIPES
from pneumo_core.progress import track
from pneumo_core.sources import identity
from pneumo_core.training import epochs, steps
from pneumo_core.training.context import Cell
from pneumo_core.training.features import FeatureCache
from pneumo_core.training.training import LabelledFilms, train
from tasks import paths
from tasks.stores.sources import open_source

VALIDATION, SHIFTED, BATCH, ELSEWHERE = "validation", "shifted", "batch", "elsewhere"
BATCH_SHARE = 0.2
EMA_DECAY, LAYER_DECAY, MIXUP_ALPHA = 0.95, 0.7, 0.2


@dataclass(frozen=True)
class Variant:
    what: str
    train: dict[str, Any] = field(default_factory=dict)  # of TrainParams
    recipe: str | None = "symmetric"  # None: the films as they are
    size: float = 1.0  # of the training set
    strategy: Strategy = Strategy.PARTIAL
    patch: Callable[[], Any] | None = None


@contextmanager
def averaged() -> Iterator[None]:
    """The learner that counts is an exponential mean over the steps."""
    step, judge = epochs.Step.__call__, epochs.Epochs._judge

    def watched(self: Any, *arguments: Any) -> torch.Tensor:
        if not hasattr(self, "mean"):
            decay = get_ema_multi_avg_fn(EMA_DECAY)
            self.mean = AveragedModel(self._learner, multi_avg_fn=decay, use_buffers=True)
        loss = step(self, *arguments)
        self.mean.update_parameters(self._learner)
        return loss

    def judged(self: Any) -> tuple[float, float]:
        last = len(self.history) + 1 == self._context.schedule.epochs
        if last:
            self._learner.load_state_dict(self._step.mean.module.state_dict())
        found: tuple[float, float] = judge(self)
        return found

    with (
        mock.patch.object(epochs.Step, "__call__", watched),
        mock.patch.object(epochs.Epochs, "_judge", judged),
    ):
        yield


@contextmanager
def by_depth() -> Iterator[None]:
    """Discriminative learning rates: each layer group further down learns more slowly."""

    def optimizer(learner: nn.Module, settings: TrainParams, lr: float) -> torch.optim.Optimizer:
        groups = param_groups_layer_decay(
            learner, settings.weight_decay, layer_decay=LAYER_DECAY, no_weight_decay_list=()
        )
        return _Scaled(groups, lr=lr, weight_decay=settings.weight_decay, fused=True)

    with mock.patch.object(steps, "make_optimizer", optimizer):
        yield


class _Scaled(torch.optim.AdamW):
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] *= group["lr_scale"]
        return super().step(closure)


@contextmanager
def mixed() -> Iterator[None]:
    """Mixup of what the learner sees: features at the cut."""

    class Mixing(nn.CrossEntropyLoss):
        def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            if not hasattr(self, "order"):
                return super().forward(logits, labels)
            part = self.part
            other = super().forward(logits, labels[self.order])
            return part * super().forward(logits, labels) + (1 - part) * other

    create = steps.Step.__init__

    def init(self: Any, *arguments: Any) -> None:
        create(self, *arguments)
        fetch, loss = self._fetch, self._mean_loss

        def fetch_mixed(rows: Any) -> torch.Tensor:
            x = fetch(rows)
            loss.part = float(torch.distributions.Beta(MIXUP_ALPHA, MIXUP_ALPHA).sample())
            loss.order = torch.randperm(len(x))
            return loss.part * x + (1 - loss.part) * x[loss.order]

        self._fetch = fetch_mixed

    with (
        mock.patch.object(steps.nn, "CrossEntropyLoss", Mixing),
        mock.patch.object(steps.Step, "__init__", init),
    ):
        yield


BASELINE = "baseline"
VARIANTS = {
    BASELINE: Variant("the profile archive-cpu: symmetric views, smoothing, warm-up and cosine"),
    "no smoothing": Variant("labels are 0 and 1", {"label_smoothing": 0.0}),
    "weights 1 : 1.5": Variant("the study's loss", {"class_weights": (1.0, 1.5)}),
    "step schedule": Variant("constant rate, a tenth after 7 epochs", {"schedule": "step"}),
    "rate / 3": Variant("peak 1e-4", {"partial": {"lr": 1e-4, "epochs": 3}}),
    "rate x 3": Variant("peak 9e-4", {"partial": {"lr": 9e-4, "epochs": 3}}),
    "6 epochs": Variant("twice as long", {"partial": {"lr": 3e-4, "epochs": 6}}),
    "no augmentation": Variant("each film as it is", recipe=None),
    **{name: Variant(of.what, recipe=name) for name, of in RECIPES.items() if name != "symmetric"},
    "twice the views": Variant("a film has twice as many", size=2.0),
    "mean of weights": Variant(f"exponential, {EMA_DECAY} a step", patch=averaged),
    "rates by depth": Variant(f"a factor {LAYER_DECAY} a layer group", patch=by_depth),
    "mixup": Variant(f"of features at the cut, alpha {MIXUP_ALPHA}", patch=mixed),
    "frozen": Variant("the classifier alone", strategy=Strategy.FROZEN),
}
FIVE_VIEWS, ENSEMBLE = "five views read", "three seeds read"


@dataclass(frozen=True)
class Data:
    images: PackedImages
    table: pd.DataFrame
    judged: dict[str, pd.DataFrame]
    films: dict[str, np.ndarray]


def load(elsewhere: str | None) -> Data:
    table = identity.with_names(manifest.read(paths.SPLIT), identity.read(paths.NAMES))
    images = PackedImages.open(paths.IMAGES)
    val, kept = manifest.kept(table, "val"), manifest.kept(table, "train")
    in_batch = kept["patient_group"].isin(earliest(kept))
    judged = {VALIDATION: val, SHIFTED: val, BATCH: kept[in_batch]}
    films = {name: np.asarray(images[rows(of)]) for name, of in judged.items()}
    films[SHIFTED] = shifted(films[SHIFTED], list(val["pixel_sha256"]))
    if elsewhere:
        source = params.load(paths.PARAMS).ingest.model_copy(update={"source": elsewhere})
        with inventory_of(open_source(source).files(), images.size_px) as (others, packed):
            judged[ELSEWHERE] = manifest.kept(others)
            films[ELSEWHERE] = packed[rows(judged[ELSEWHERE])]
    rest = table[~table["image_id"].isin(kept["image_id"][in_batch])]
    return Data(images, rest, judged, films)


def earliest(kept: pd.DataFrame) -> set[str]:
    """The patients with the lowest numbers of each of the archive's series."""
    named = kept["file"].str.extract(r"(?P<series>NORMAL2-IM|IM|person)-?(?P<number>\d+)")
    numbers = named["number"].astype(int)
    order = numbers.groupby(named["series"]).rank(pct=True, method="max")
    return set(kept["patient_group"][order <= BATCH_SHARE])


def rows(films: pd.DataFrame) -> np.ndarray:
    return films["packed_row"].to_numpy(np.int64)


def trial(
    variant: Variant, data: Data, base: TrainParams, seed: int, size: int, scratch: Path
) -> dict[str, Floats]:
    """Logits of each judged set, and of its further views."""
    how = AugmentParams(
        seed=seed,
        recipe=variant.recipe or "symmetric",
        size_per_class=round(size * variant.size),
    )
    chosen = manifest.kept(data.table, "train")
    chosen = chosen[patients_of(chosen, size, seed)]
    planned = plan(chosen, how)
    films = np.asarray(data.images[rows(planned)])
    if variant.recipe is not None:
        before, films = films, np.empty_like(films)
        augment(data.images, planned, how, films)
        del before
    labels = manifest.label_indices(planned).to_numpy(np.int64)
    val = LabelledFilms(
        data.films[VALIDATION], manifest.label_indices(data.judged[VALIDATION]).to_numpy(np.int64)
    )
    settings = TrainParams.model_validate(base.model_dump() | variant.train | {"seed": seed})
    cell = Cell(settings.models[0], variant.strategy)
    with ExitStack() as stack:
        if variant.patch:
            stack.enter_context(variant.patch())
        trained = train(cell, LabelledFilms(films, labels), val, settings, scratch, lambda _: None)
    trained.checkpoint.forget()
    read = reader(trained, cell, settings, films[:2], scratch)
    answers = {name: read(of) for name, of in data.films.items()}
    if variant is VARIANTS[BASELINE]:
        for name, of in data.films.items():
            views = [view.of(of) for view in VIEWS[1:]]
            answers[f"{name} views"] = np.mean([answers[name], *map(read, views)], axis=0)
    return answers


def patients_of(films: pd.DataFrame, size: int, seed: int) -> pd.Series:
    """Whole patients, so many films of each class, the seed says which: as many views a film as
    the profile has of NORMAL, which has fewer."""
    wanted = pd.Series(False, index=films.index)
    for label in LABELS:
        of = films[films["label"] == label]
        groups = of["patient_group"].drop_duplicates().sample(frac=1, random_state=seed)
        before = of.groupby("patient_group").size()[groups].cumsum().shift(fill_value=0)
        wanted |= films["patient_group"].isin(before.index[before < size / 2]) & (
            films["label"] == label
        )
    return wanted


def reader(trained: Any, cell: Cell, settings: TrainParams, example: Any, scratch: Path) -> Any:
    """Films to logits, what is frozen through the cache."""
    device = choose_device(settings.precision)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        weights = settings.weights_of(cell.architecture)
        fresh, _ = create_model(cell.architecture, weights, len(LABELS))
    fresh = fresh.to(device.torch_device).to(memory_format=torch.channels_last)
    freeze(fresh, cell.strategy)
    parts = cut(fresh, to_batch(example, trained.normalisation, device))
    assert parts is not None
    trunk, tail = parts
    tail.load_state_dict(deepcopy(trained.model.state_dict()), strict=False)
    tail.eval()
    cache = FeatureCache(scratch / "features", int(settings.feature_cache_gb * 1e9))

    def read(films: Any) -> Floats:
        features = cache.get(trunk, films, trained.normalisation, device)
        with torch.inference_mode():
            blocks = torch.split(features, 64)
            margins = [
                tail(
                    b.float().contiguous(memory_format=torch.channels_last)
                    if b.ndim == 4
                    else b.float()
                ).diff(dim=1)
                for b in blocks
            ]
        return np.asarray(torch.cat(margins).squeeze(1).double())

    return read


def judge(
    answers: dict[str, list[dict[str, Floats]]], data: Data, num_draws: int
) -> dict[str, Any]:
    """By variant and set: the AUROC of each seed, its mean, and the mean's difference to the
    baseline's, over the same draws of patients; specificity and sensitivity on the batch at the
    thresholds that validation and shifted validation give."""
    found: dict[str, Any] = {name: {} for name in answers}
    scores_of = {
        name: [{s: _scores(of, logits[s]) for s, of in data.judged.items()} for logits in seeds]
        for name, seeds in answers.items()
    }
    for of_set in data.judged:
        some = scores_of[BASELINE][0][of_set]
        weights = np.vstack([np.ones(len(some.labels)), patient_weights(some, num_draws, 0)])
        means = {
            name: np.mean([auroc(seed[of_set], 0, weights) for seed in seeds], axis=0)
            for name, seeds in scores_of.items()
        }
        others = [name for name in means if name != BASELINE]
        gains = [_difference(means[name] - means[BASELINE]) for name in others]
        to_baseline = dict(zip(others, adjusted(gains), strict=True))
        for name, mean in means.items():
            whole = np.ones((1, len(some.labels)))
            found[name][of_set] = {
                "auroc": float(mean[0]),
                "ci": percentile_interval(mean[1:]),
                "by_seed": [float(auroc(s[of_set], 0, whole)[0]) for s in scores_of[name]],
                "to_baseline": vars(to_baseline[name]) if name in to_baseline else None,
            }
    chosen = EvaluateParams(num_draws=500)
    for name, seeds in scores_of.items():
        for source in (VALIDATION, SHIFTED):
            at = [
                _read_at(s[BATCH], choose_operating_points(s[source], chosen)["reading_aid"])
                for s in seeds
            ]
            found[name][f"batch at {source}"] = dict(
                zip(("sensitivity", "specificity"), np.mean(at, axis=0).tolist(), strict=True)
            )
    return found


def _scores(films: pd.DataFrame, logits: Floats) -> Scores:
    labels = manifest.label_indices(films).to_numpy(np.int64)
    return Scores(labels, expit(logits), films["patient_group"].to_numpy(np.str_))


def _difference(values: Floats) -> Difference:
    return Difference.of(float(values[0]), values[1:])


def _read_at(scores: Scores, point: Any) -> tuple[float, float]:
    called, positive = scores.probabilities >= point.threshold, scores.labels == 1
    return float(called[positive].mean()), float((~called[~positive]).mean())


def as_markdown(found: dict[str, Any], sets: list[str]) -> str:
    lines = [
        "| ingredient | what | "
        + " | ".join(f"{s} AUROC" for s in sets)
        + " | to the baseline: "
        + " | ".join(sets)
        + " | batch: sensitivity / specificity |",
        "| --- " * (3 + 2 * len(sets)) + "|",
    ]
    for name, of in sorted(found.items(), key=lambda item: -item[1][BATCH]["auroc"]):
        what = VARIANTS[name].what if name in VARIANTS else "of the baseline, when it is read"
        aurocs = [f"{of[s]['auroc']:.4f}" for s in sets]
        gains = [
            ""
            if (d := of[s]["to_baseline"]) is None
            else f"{d['value']:+.4f} [{d['ci_low']:+.4f}, {d['ci_high']:+.4f}]"
            + ("*" if d["p"] < 0.05 else "")
            for s in sets
        ]
        at = of[f"batch at {VALIDATION}"]
        lines.append(
            f"| {name} | {what} | "
            + " | ".join([*aurocs, *gains])
            + f" | {at['sensitivity']:.3f} / {at['specificity']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--size-per-class", type=int, default=800)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    parser.add_argument("--elsewhere", help="a labelled source, as ingest.source has it")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    base, data = params.load(paths.PARAMS).train, load(asked.elsewhere)
    answers: dict[str, list[dict[str, Floats]]] = {}
    todo = [(seed, name) for seed in range(asked.seeds) for name in asked.only]
    for seed, name in track(todo, "ingredients", unit="training"):
        path = asked.out / f"{name.replace(' ', '_').replace('/', '')}-{seed}.npz"
        if not path.is_file():
            logits = trial(
                VARIANTS[name], data, base, seed, asked.size_per_class, asked.out / "scratch"
            )
            with replacing_file(path) as draft, draft.open("wb") as file:
                np.savez(file, **logits)
        answers.setdefault(name, []).append(dict(np.load(path)))
    answers[FIVE_VIEWS] = [{s: of[f"{s} views"] for s in data.judged} for of in answers[BASELINE]]
    answers[ENSEMBLE] = [
        {s: np.mean([of[s] for of in answers[BASELINE]], axis=0) for s in data.judged}
    ]
    found = judge(answers, data, num_draws=2000)
    table = as_markdown(found, list(data.judged))
    write_json(asked.out / "ingredients.json", found)
    write_text(asked.out / "ingredients.md", table)
    print(table)


if __name__ == "__main__":
    main()
