from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from pneumo_core.arrays import Gray, Images
from pneumo_core.evaluation.scoring import predict
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.experiments import trials
from pneumo_core.experiments.trials import BASELINE, Setting, Trial, choose_films, run_trials
from pneumo_core.params import Params, Strategy
from pneumo_core.training.context import Cell
from pneumo_core.training.training import TrainedModel, train

pytestmark = pytest.mark.slow

MakeTable = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def table(make_table: MakeTable) -> pd.DataFrame:
    """10 patients of each class with three films in train, and others in val and test."""
    rows = [
        {"image_id": f"{split}/{label}/{patient}-{film}.png", "patient_group": f"{label}{patient}"}
        for split, patients in (("train", range(10)), ("val", range(20, 24)), ("test", (30,)))
        for label in ("NORMAL", "PNEUMONIA")
        for patient in patients
        for film in range(3)
    ]
    return make_table(rows)


@pytest.fixture(scope="module")
def images(film: Callable[..., Gray], table: pd.DataFrame) -> Images:
    return np.stack([film(seed, 32, 32) for seed in range(len(table))])


def test_chosen_films_are_whole_patients_of_train(table: pd.DataFrame) -> None:
    chosen = choose_films(table, 0.4, seed=0)
    assert chosen.groupby("label")["patient_group"].nunique().to_dict() == {
        "NORMAL": 4,
        "PNEUMONIA": 4,
    }
    assert (chosen.groupby("patient_group").size() == 3).all()
    assert set(chosen["split"]) == {"train"}


def test_the_seed_chooses_and_the_order_of_the_rows_does_not(table: pd.DataFrame) -> None:
    def ids(rows: pd.DataFrame, seed: int) -> set[str]:
        return set(choose_films(rows, 0.4, seed)["image_id"])

    assert ids(table, 0) == ids(table.sample(frac=1, random_state=1), 0)
    assert any(ids(table, seed) != ids(table, 0) for seed in (1, 2, 3))
    assert len(choose_films(table, 3.0, 0)) == 60  # no more than there are


@pytest.fixture(scope="module")
def setting(params_with: Callable[..., Params]) -> Setting:
    small = {"weights": "none", "precision": "float32", "batch_size": 8}
    params = params_with(train=small | {"frozen": {"lr": 0.01, "epochs": 2}}).train
    cell = Cell("test_efficientnet", Strategy.FROZEN)
    return Setting(cell, params, 40, 20, (3, 4), ("brightness", "study_brightness"))


@pytest.fixture(scope="module")
def found(
    images: Images, table: pd.DataFrame, setting: Setting, tmp_path_factory: pytest.TempPathFactory
) -> list[Trial]:
    return list(run_trials(images, table, setting, tmp_path_factory.mktemp("scratch")))


def test_each_recipe_meets_the_same_films_once_a_seed(found: list[Trial]) -> None:
    assert [(trial.seed, trial.recipe) for trial in found] == [
        (seed, recipe) for seed in (3, 4) for recipe in (BASELINE, "brightness", "study_brightness")
    ]
    for trial in found:
        first = next(other for other in found if other.seed == trial.seed)
        np.testing.assert_array_equal(trial.before, first.before)
        np.testing.assert_array_equal(trial.films.labels, first.films.labels)
        assert np.bincount(trial.films.labels).tolist() == [20, 20]
    assert not np.array_equal(found[0].before, found[3].before)


def test_only_films_of_train_are_learnt(
    found: list[Trial], images: Images, table: pd.DataFrame
) -> None:
    rows_of_train = {images[row].tobytes() for row in table.index[table["split"] == "train"]}
    assert {film.tobytes() for trial in found for film in trial.before} <= rows_of_train


def test_originals_keep_the_share_that_they_have_in_the_pipeline(found: list[Trial]) -> None:
    """Half the size from half the films: two copies too many of 15 films in 20."""
    baseline, brightness, study = found[:3]
    assert np.array_equal(baseline.films.images, baseline.before)
    same = [np.array_equal(*pair) for pair in zip(study.before, study.films.images, strict=True)]
    assert sum(same) == 30  # one of each film
    assert not np.array_equal(brightness.films.images, brightness.before)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_scores_are_those_of_the_trained_model(
    monkeypatch: pytest.MonkeyPatch,
    images: Images,
    table: pd.DataFrame,
    setting: Setting,
    tmp_path: Path,
    strategy: Strategy,
) -> None:
    kept: list[TrainedModel] = []

    def train_and_keep(*arguments: object) -> TrainedModel:
        kept.append(train(*arguments))  # type: ignore[arg-type]
        return kept[-1]

    monkeypatch.setattr(trials, "train", train_and_keep)
    cell = Cell(setting.cell.architecture, strategy)
    one = Setting(cell, setting.train, 40, 20, (0,), ("gamma",))
    for trial in run_trials(images, table, one, tmp_path):
        answers = trial.score(images[60:80])
        engine = TorchEngine(kept[-1].model, kept[-1].normalisation)
        expected = expit(predict(engine, images[60:80])[0])
        np.testing.assert_allclose(answers, expected, atol=1e-4)
