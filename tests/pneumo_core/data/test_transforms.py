from collections.abc import Callable

import numpy as np
import pytest

from pneumo_core.arrays import Gray
from pneumo_core.data.transforms import Ranges, transform
from pneumo_core.preparation.recipes import RECIPES

Film = Callable[..., Gray]


def _inner(made: Gray, expected: Gray) -> float:
    """The largest difference away from the edge."""
    return float(np.abs(made.astype(float) - expected.astype(float))[4:-4, 4:-4].max())


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
        (Ranges(gamma=(2, 2)), lambda p: 255 * (p / 255) ** 2),
        (Ranges(shift=(0.25, 0.25)), lambda p: np.roll(p, (16, 16), (0, 1))),
        (Ranges(contrast=(0.5, 0.5)), lambda p: (p - p.mean()) * 0.5 + p.mean()),
        (Ranges(rotation_deg=(90, 90)), lambda p: np.rot90(p)),
        (Ranges(rotation_deg=(180, 180)), lambda p: p[::-1, ::-1]),
    ],
    ids=["brightness", "gamma", "shift", "contrast", "90 degrees", "180 degrees"],
)
def test_transform_does_what_its_name_says(
    film: Film, ranges: Ranges, expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    pixels = film(1)
    made = transform(pixels, ranges, np.random.default_rng(0))
    assert made.dtype == np.uint8
    wanted = expected(pixels.astype(float))
    covered = np.s_[16:, 16:] if ranges.shift != (0, 0) else np.s_[:, :]
    assert _inner(made[covered], wanted[covered]) <= 3


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


def test_corners_are_black_whatever_the_brightness() -> None:
    gray = np.full((64, 64), 100, np.uint8)
    brighter = Ranges(rotation_deg=(10, 10), brightness=(0.15, 0.15))
    assert transform(gray, brighter, np.random.default_rng(0))[0, 0] == 0


def test_scale_shows_the_film_larger_about_its_middle(film: Film) -> None:
    pixels = film(1)
    made = transform(pixels, Ranges(scale=(2, 2)), np.random.default_rng(0))
    assert _inner(made[::2, ::2], pixels[16:48, 16:48]) <= 12  # half a pixel off
    assert (transform(pixels, Ranges(scale=(0.5, 0.5)), np.random.default_rng(0))[:15] == 0).all()


def test_noise_has_its_strength_and_no_drift() -> None:
    gray = np.full((256, 256), 128, np.uint8)
    made = transform(gray, Ranges(noise_std=(0.03, 0.03)), np.random.default_rng(0)).astype(float)
    assert made.std() == pytest.approx(0.03 * 255, rel=0.03)
    assert made.mean() == pytest.approx(128, abs=0.2)


def test_blur_is_a_part_of_the_side_at_every_resolution() -> None:
    for side in (64, 256):
        line = np.zeros((side, side), np.uint8)
        line[:, side // 2] = 255
        made = transform(line, Ranges(blur_sigma=(0.02, 0.02)), np.random.default_rng(0))
        profile = made[side // 2] / made[side // 2].sum()
        places = np.arange(side) - side // 2
        assert np.sqrt((profile * places**2).sum()) == pytest.approx(0.02 * side, rel=0.1)


def test_clahe_raises_local_contrast_with_its_clip_limit(film: Film) -> None:
    dull = film(1, 128, 128) // 4 + 90
    spread = [
        transform(dull, Ranges(clahe_clip=(clip, clip)), np.random.default_rng(0)).std()
        for clip in (1.0, 2.0, 4.0)
    ]
    assert spread == sorted(spread)
    assert spread[0] == dull.std()
