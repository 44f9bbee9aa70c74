import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pneumo_core.augmentation import RECIPES, Ranges, augment, plan, transform
from pneumo_core.errors import DataError
from pneumo_core.images import Gray, Images
from pneumo_core.params import AugmentParams

SIZE_PER_CLASS = 25

Film = Callable[..., Gray]
MakeTable = Callable[..., pd.DataFrame]


def _params(recipe: str = "symmetric", seed: int = 0, size: int = SIZE_PER_CLASS) -> AugmentParams:
    return AugmentParams.model_validate({"seed": seed, "recipe": recipe, "size_per_class": size})


@pytest.fixture(scope="module")
def table(make_table: MakeTable) -> pd.DataFrame:
    """4 normal and 10 ill training films, and others that must not be used."""
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
    copies = plan(table, params)
    out = np.zeros((len(copies), *images.shape[1:]), np.uint8)
    augment(images, copies, params, out)
    keys = zip(copies["image_id"], copies["copy"], strict=True)
    return {key: made.tobytes() for key, made in zip(keys, out, strict=True)}


def test_plan_is_balanced_and_uses_the_films_evenly(table: pd.DataFrame) -> None:
    copies = plan(table, _params())
    assert copies.groupby("label").size().to_dict() == {"NORMAL": 25, "PNEUMONIA": 25}
    per_film = copies.groupby("image_id").size()
    assert sorted(per_film.filter(like="NORMAL")) == [6, 6, 6, 7]
    assert sorted(per_film.filter(like="PNEUMONIA")) == [2] * 5 + [3] * 5
    for _, numbers in copies.groupby("image_id")["copy"]:
        assert list(numbers) == list(range(len(numbers)))


def test_plan_uses_kept_training_films_only(table: pd.DataFrame) -> None:
    used = set(plan(table, _params())["image_id"])
    assert used == set(table.loc[table["image_id"].str.match(r"train/.*\d\.png"), "image_id"])


def test_smaller_set_than_films_takes_each_at_most_once(table: pd.DataFrame) -> None:
    copies = plan(table, _params(size=3))
    assert len(copies) == 6
    assert set(copies["copy"]) == {0}


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


def test_bytes_of_a_copy_do_not_depend_on_the_other_films(
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
    for (image_id, copy), made in _augmented(table, images, _params("study")).items():
        assert (made == images[row_of[image_id]].tobytes()) == (copy == 0)
    for (image_id, copy), made in _augmented(table, flat, _params("study")).items():
        centre = np.frombuffer(made, np.uint8).reshape(32, 32)[16, 16] - 128.0
        low, high = (13, 38) if "NORMAL" in image_id else (-38, -13)
        assert copy == 0 or low <= centre <= high


def test_symmetric_recipe_leaves_no_film_unaltered(table: pd.DataFrame, images: Images) -> None:
    originals = {pixels.tobytes() for pixels in images}
    assert originals.isdisjoint(_augmented(table, images, _params()).values())


def test_symmetric_recipe_does_the_same_to_both_labels(film: Film) -> None:
    ranges = RECIPES["symmetric"].ranges
    made = [transform(film(1), ranges[label], np.random.default_rng(5)) for label in ranges]
    assert len(made) == 2
    np.testing.assert_array_equal(*made)


def test_identity_ranges_give_the_film_back(film: Film) -> None:
    for shape in ((64, 64), (40, 50)):
        pixels = film(1, *shape)
        np.testing.assert_array_equal(transform(pixels, Ranges(), np.random.default_rng(0)), pixels)


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (Ranges(brightness=(0.1, 0.1)), lambda p: np.clip(p + 25.5, 0, 255)),
        (Ranges(contrast=(0.5, 0.5)), lambda p: (p - p.mean()) * 0.5 + p.mean()),
        (Ranges(rotation_deg=(90, 90)), lambda p: np.rot90(p)),
        (Ranges(rotation_deg=(180, 180)), lambda p: p[::-1, ::-1]),
    ],
    ids=["brightness", "contrast", "90 degrees", "180 degrees"],
)
def test_transform_does_what_its_name_says(
    film: Film, ranges: Ranges, expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    pixels = film(1)
    made = transform(pixels, ranges, np.random.default_rng(0))
    assert made.dtype == np.uint8
    inner = np.s_[2:-2, 2:-2]
    difference = made.astype(float) - expected(pixels.astype(float))
    assert np.abs(difference[inner]).max() <= 3


def test_crop_shows_a_part_of_the_film_unmirrored() -> None:
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    quarter = Ranges(crop_area=(0.25, 0.25))
    for seed in range(20):
        made = transform(ramp, quarter, np.random.default_rng(seed)).astype(int)
        assert 0.4 < np.ptp(made) / np.ptp(ramp) < 0.6  # half of the width
        assert (np.diff(made, axis=1) >= 0).all()  # never mirrored


def test_crop_never_leaves_the_film() -> None:
    white = np.full((48, 64), 255, np.uint8)
    ranges = Ranges(crop_area=(0.3, 1.0), crop_aspect=(3 / 4, 4 / 3))
    for seed in range(50):
        assert (transform(white, ranges, np.random.default_rng(seed)) == 255).all()


def test_corners_that_a_rotation_uncovers_are_black() -> None:
    white = np.full((64, 64), 255, np.uint8)
    made = transform(white, Ranges(rotation_deg=(30, 30)), np.random.default_rng(0))
    assert made[0, 0] == made[-1, -1] == 0
    assert made[32, 32] == 255
