"""Each corruption does what its name says, more so with each severity, and the same way again."""

from collections.abc import Callable

import numpy as np
import pytest

from pneumo_core.arrays import Gray, Images
from pneumo_core.evaluation.corruptions import CORRUPTIONS, NUM_SEVERITIES, corrupt

SIDE_PX = 96


@pytest.fixture(scope="module")
def images(film: Callable[..., Gray]) -> Images:
    return np.stack([film(seed, SIDE_PX, SIDE_PX) for seed in range(6)])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_is_further_from_the_film_than_the_last(name: str, images: Images) -> None:
    away = [
        np.abs(corrupt(images, name, severity, 0).astype(float) - images).mean()
        for severity in range(1, NUM_SEVERITIES + 1)
    ]
    assert away[0] > 0
    assert all(np.diff(away) > 0), away


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corrupted_films_follow_from_the_seed_alone(name: str, images: Images) -> None:
    before = images.copy()
    first, again = (corrupt(images, name, 3, seed=1) for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(images, before)
    assert first.shape == images.shape
    assert first.dtype == np.uint8


def test_noise_has_the_stated_strength() -> None:
    gray = np.full((4, SIDE_PX, SIDE_PX), 128, np.uint8)
    level = 128 / 255
    expected = {
        "gaussian_noise": 0.06,
        "speckle_noise": 0.10 * level,
        "shot_noise": np.sqrt(level / 150),
    }
    for name, std in expected.items():
        assert corrupt(gray, name, 3, 0).std() / 255 == pytest.approx(std, rel=0.03), name
    salted = corrupt(gray, "impulse_noise", 5, 0)
    assert (salted != 128).mean() == pytest.approx(0.02, rel=0.1)
    assert (salted == 0).sum() == pytest.approx((salted == 255).sum(), rel=0.15)


def test_gray_values_follow_the_stated_curve() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))[None]
    levels = np.arange(256)
    mean = int(ramp.mean() + 0.5)
    expected = {
        "brightness_down": 0.7 * levels,
        "brightness_up": (1.3 * levels).clip(max=255),
        "contrast_down": mean + 0.7 * (levels - mean),
        "gamma_up": 255 * (levels / 255) ** 1.3,
        "gamma_down": 255 * (levels / 255) ** 0.7,
    }
    for name, curve in expected.items():
        assert np.abs(corrupt(ramp, name, 3, 0)[0, 0] - curve).max() <= 1, name


def test_blur_and_pixels_take_detail_and_keep_the_mean() -> None:
    checks = np.indices((SIDE_PX, SIDE_PX)).sum(0) % 2 * np.uint8(200) + np.uint8(20)
    for name in ("gaussian_blur", "pixelate"):
        altered = corrupt(checks.astype(np.uint8)[None], name, 5, 0)
        assert altered.std() < checks.std() / 2
        assert altered.mean() == pytest.approx(checks.mean(), abs=2)
