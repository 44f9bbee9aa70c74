"""One training for each recipe and seed, all else equal: the same films, model and settings.

A trial is a scale model of the pipeline's own training set. To make fewer augmented films it takes
fewer patients, so a film is used as often as in the pipeline, and where a recipe keeps originals
their share is the pipeline's too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.special import expit

from pneumo_core.arrays import Floats, Images, Stack
from pneumo_core.audit.counterfactuals import audit_model, read_altered
from pneumo_core.audit.shortcut_probes import augmented_gain
from pneumo_core.audit.shortcuts import Cohort
from pneumo_core.data import manifest
from pneumo_core.evaluation.scoring import predict
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.labels import LABELS
from pneumo_core.models.compute import full_float32, to_input
from pneumo_core.models.strategies import cut
from pneumo_core.params import AuditParams, AugmentParams, RecipeName, TrainParams
from pneumo_core.preparation.augmentation import augment, plan
from pneumo_core.preparation.recipes import RECIPES
from pneumo_core.training.context import Cell, Context
from pneumo_core.training.events import ignore
from pneumo_core.training.extractor import Extractor
from pneumo_core.training.features import FeatureCache
from pneumo_core.training.training import LabelledFilms, TrainedModel, train

THRESHOLD = 0.5
BASELINE = "none"  # the same films, each as often, unaltered

Score = Callable[[Images], Floats]


@dataclass(frozen=True)
class Setting:
    cell: Cell
    train: TrainParams
    pipeline_size_per_class: int  # augment.size_per_class: of which this is a part
    size_per_class: int
    seeds: tuple[int, ...]
    recipes: tuple[RecipeName, ...] = tuple(RECIPES)

    @property
    def num_trials(self) -> int:
        return len(self.seeds) * (len(self.recipes) + 1)


@dataclass(frozen=True)
class Trial:
    recipe: str
    seed: int
    before: Images  # the film that each training film was made from, [N, H, W]
    films: LabelledFilms
    patients: npt.NDArray[np.str_]  # [N]
    score: Score  # films of the same size to probabilities of PNEUMONIA


def run_trials(
    images: Stack, table: pd.DataFrame, setting: Setting, scratch: Path
) -> Iterator[Trial]:
    """Trains on train and watches val; `scratch` keeps features, so a killed run goes on fast.

    Raises as `plan` and `train` do.
    """
    val = manifest.kept(table, "val")
    val_films = LabelledFilms(_pixels(images, val), _labels(val))
    patient_of = table.set_index("image_id")["patient_group"]
    for seed in setting.seeds:
        params = setting.train.model_copy(update={"seed": seed})
        chosen = choose_films(table, setting.size_per_class / setting.pipeline_size_per_class, seed)
        for recipe in (None, *setting.recipes):
            how = AugmentParams(
                seed=seed, recipe=recipe or "symmetric", size_per_class=setting.size_per_class
            )
            planned = plan(chosen, how)
            before = after = _pixels(images, planned)
            if recipe is not None:
                after = np.empty_like(before)
                augment(images, planned, how, after)
            films = LabelledFilms(after, _labels(planned))
            trained = train(setting.cell, films, val_films, params, scratch, ignore)
            trained.checkpoint.forget()
            yield Trial(
                recipe or BASELINE,
                seed,
                before,
                films,
                patient_of[planned["image_id"]].to_numpy(np.str_),
                _scorer(trained, setting.cell, params, before[:2], scratch),
            )


def choose_films(table: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Training films of whole patients, about this share of each class, the seed says which."""
    train_films = manifest.kept(table, "train")
    parts = []
    for label in LABELS:
        films = train_films[train_films["label"] == label]
        groups = films["patient_group"].drop_duplicates().sort_values()
        order = groups.sample(frac=1, random_state=seed).to_numpy()
        num_before = films.groupby("patient_group").size()[order].cumsum().shift(fill_value=0)
        wanted = num_before.index[num_before < share * len(films)]
        parts.append(films[films["patient_group"].isin(wanted)])
    return pd.concat(parts)


def _pixels(images: Stack, rows: pd.DataFrame) -> Images:
    return np.asarray(images[rows["packed_row"].to_numpy(np.int64)])


def _labels(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    labels: npt.NDArray[np.int64] = manifest.label_indices(rows).to_numpy(np.int64)
    return labels


def _scorer(
    trained: TrainedModel, cell: Cell, params: TrainParams, example: Images, scratch: Path
) -> Score:
    """Return a function that scores films, by cached features where the model has a cut.

    The trunk is that of the model as it was before training, whose features are already cached.
    """
    exact = params.model_copy(update={"precision": "float32"})  # as `TorchEngine`
    context, normalisation = Context.of(cell, exact), trained.normalisation
    device = context.device
    fresh, _ = context.start_model(example.shape[-1])
    films = torch.as_tensor(example)
    parts = cut(fresh, to_input(films.to(device.torch_device), normalisation))
    if parts is None:
        engine = TorchEngine(trained.model, normalisation)
        return lambda images: np.asarray(expit(predict(engine, images)[0]))
    trunk, tail = parts
    tail.load_state_dict(trained.model.state_dict(), strict=False)
    tail.eval()
    extractor = Extractor(trunk, device, films, normalisation)
    cache = FeatureCache.below(scratch, params)

    def probabilities(images: Images) -> Floats:
        features = cache.get(extractor, images)
        with torch.inference_mode(), full_float32():
            x = features.to(device.torch_device).float()
            margins = [tail(part).diff(dim=1) for part in torch.tensor_split(x, len(x) // 256 + 1)]
        return np.asarray(expit(torch.cat(margins).squeeze(1).double().cpu().numpy()))

    return probabilities


def audit_trial(
    trial: Trial, table: pd.DataFrame, images: Stack, params: AuditParams
) -> dict[str, float]:
    """Return the figures of the checks that can be computed, and how many are beyond the limit."""
    rows = np.random.default_rng(params.seed).permutation(len(trial.films.labels))
    rows = np.sort(rows[: params.num_augmented_films])
    cohort = Cohort(trial.films.labels[rows], trial.patients[rows])
    augmented = np.asarray(trial.films.images[rows])
    checks = augmented_gain(trial.before[rows], augmented, cohort, params)
    val = manifest.kept(table, "val")
    val = val.sample(min(params.num_films, len(val)), random_state=params.seed)
    films = _pixels(images, val)
    readings = read_altered(trial.score, films, Cohort.of(val), THRESHOLD)
    checks += audit_model(readings, params)
    found = {check.name: check.figure.value for check in checks if check.figure is not None}
    return found | {"checks_beyond": float(sum(check.passed is False for check in checks))}
