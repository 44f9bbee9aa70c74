import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pneumo_core.arrays import Gray, Images
from pneumo_core.errors import DataError
from pneumo_core.params import AugmentParams
from pneumo_core.preparation.augmentation import augment, make_film, plan, planned_films
from pneumo_core.preparation.recipes import RECIPES

SIZE_PER_CLASS = 25

Film = Callable[..., Gray]
MakeTable = Callable[..., pd.DataFrame]


def _params(recipe: str = "symmetric", seed: int = 0, size: int = SIZE_PER_CLASS) -> AugmentParams:
    return AugmentParams.model_validate({"seed": seed, "recipe": recipe, "size_per_class": size})


@pytest.fixture(scope="module")
def table(make_table: MakeTable) -> pd.DataFrame:
    """4 normal and 10 positive training films, and others that must not be used."""
    train = [f"train/NORMAL/{i}.png" for i in range(4)]
    train += [f"train/PNEUMONIA/{i}.png" for i in range(10)]
    rows = make_table([*train, "val/NORMAL/v.png", "test/PNEUMONIA/t.png", "train/NORMAL/bad.png"])
    rows.loc[rows["image_id"] == "train/NORMAL/bad.png", "state"] = "duplicate"
    return rows


@pytest.fixture(scope="module")
def images(film: Film, table: pd.DataFrame) -> Images:
    return np.stack([film(seed, 32, 32) for seed in range(len(table))])


def _augmented(
    table: pd.DataFrame, images: Images, params: AugmentParams
) -> dict[tuple[str, int], bytes]:
    planned = plan(table, params)
    out = np.zeros((len(planned), *images.shape[1:]), np.uint8)
    augment(images, planned, params, out)
    keys = zip(planned["image_id"], planned["number"], strict=True)
    return {key: made.tobytes() for key, made in zip(keys, out, strict=True)}


def test_plan_is_balanced_and_uses_the_films_evenly(table: pd.DataFrame) -> None:
    planned = plan(table, _params())
    assert planned.groupby("label").size().to_dict() == {"NORMAL": 25, "PNEUMONIA": 25}
    per_film = planned.groupby("image_id").size()
    assert sorted(per_film.filter(like="NORMAL")) == [6, 6, 6, 7]
    assert sorted(per_film.filter(like="PNEUMONIA")) == [2] * 5 + [3] * 5
    for _, numbers in planned.groupby("image_id")["number"]:
        assert list(numbers) == list(range(len(numbers)))


def test_plan_uses_kept_training_films_only(table: pd.DataFrame) -> None:
    used = set(plan(table, _params())["image_id"])
    assert used == set(table.loc[table["image_id"].str.match(r"train/.*\d\.png"), "image_id"])


def test_smaller_set_than_films_takes_each_at_most_once(table: pd.DataFrame) -> None:
    planned = plan(table, _params(size=3))
    assert len(planned) == 6
    assert set(planned["number"]) == {0}


def test_plan_depends_on_the_seed_and_not_on_the_order_of_the_rows(table: pd.DataFrame) -> None:
    expected = plan(table, _params())
    shuffled = table.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(plan(shuffled, _params()), expected)
    assert any(not plan(table, _params(seed=seed)).equals(expected) for seed in (1, 2, 3))


def test_class_without_films_is_an_error(table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="No PNEUMONIA film is left in train"):
        plan(table[table["label"] == "NORMAL"], _params())


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_bytes_do_not_depend_on_row_order_workers_or_the_run(
    monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, images: Images, recipe: str
) -> None:
    params = _params(recipe)
    expected = _augmented(table, images, params)
    assert _augmented(table, images, params) == expected
    assert _augmented(table.sample(frac=1, random_state=1), images, params) == expected
    for num_workers in (1, 7):
        monkeypatch.setattr(os, "cpu_count", lambda n=num_workers: n)
        assert _augmented(table, images, params) == expected
    assert _augmented(table, images, _params(recipe, seed=1)) != expected


def test_bytes_of_an_augmented_film_do_not_depend_on_the_other_films(
    table: pd.DataFrame, images: Images
) -> None:
    all_films = _augmented(table, images, _params())
    fewer = _augmented(table[table["image_id"] != "train/NORMAL/0.png"], images, _params())
    shared = all_films.keys() & fewer.keys()
    assert len(shared) > SIZE_PER_CLASS
    assert all(fewer[key] == all_films[key] for key in shared)


def test_study_recipe_keeps_originals_and_shifts_brightness_by_label(
    table: pd.DataFrame, images: Images
) -> None:
    row_of = table.set_index("image_id")["packed_row"]
    flat = np.full_like(images, 128)
    for (image_id, number), made in _augmented(
        table, images, _params("study_brightness_rotation")
    ).items():
        assert (made == images[row_of[image_id]].tobytes()) == (number == 0)
    for (image_id, number), made in _augmented(
        table, flat, _params("study_brightness_rotation")
    ).items():
        centre = np.frombuffer(made, np.uint8).reshape(32, 32)[16, 16] - 128.0
        low, high = (13, 38) if "NORMAL" in image_id else (-38, -13)
        assert number == 0 or low <= centre <= high


@pytest.mark.parametrize("recipe", sorted(n for n, r in RECIPES.items() if not r.keeps_originals))
def test_being_altered_tells_nothing_of_the_label_where_no_original_is_kept(
    table: pd.DataFrame, images: Images, recipe: str
) -> None:
    """A strength may round to nothing, but for both classes alike."""
    originals = {pixels.tobytes() for pixels in images}
    unaltered = {"NORMAL": 0.0, "PNEUMONIA": 0.0}
    for (image_id, _), pixels in _augmented(table, images, _params(recipe)).items():
        unaltered[image_id.split("/")[1]] += (pixels in originals) / SIZE_PER_CLASS
    assert unaltered["NORMAL"] == pytest.approx(unaltered["PNEUMONIA"], abs=0.1)


def test_a_single_film_is_the_row_of_the_whole(table: pd.DataFrame, images: Images) -> None:
    params = _params()
    planned = plan(table, params)
    out = np.zeros((len(planned), *images.shape[1:]), np.uint8)
    augment(images, planned, params, out)
    for index, number in reversed(list(enumerate(planned_films(planned)))):
        np.testing.assert_array_equal(make_film(images, number, params), out[index])


def test_importing_leaves_the_threads_of_opencv_alone() -> None:
    code = (
        "import cv2; before = cv2.getNumThreads(); import pneumo_core.preparation.augmentation; "
        "assert cv2.getNumThreads() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
