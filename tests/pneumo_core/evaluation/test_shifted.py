"""The second validation: repeatable, film by film, and apart from every augmentation recipe."""

from collections.abc import Callable
from dataclasses import asdict, fields
from hashlib import sha256

import numpy as np
import pytest

from pneumo_core.arrays import Floats, Gray, Images
from pneumo_core.data.transforms import LIMITS, Ranges, transform
from pneumo_core.evaluation.corruptions import CORRUPTIONS
from pneumo_core.evaluation.shifted import FAULTS, shifted
from pneumo_core.preparation.recipes import RECIPES

SIDE_PX = 128
MAX_EXPLAINED = 0.4  # faults on films of the archive: 0.001 to 0.31; gaussian_blur from 0.95

# What a recipe can vary, and the corruptions that change a film in the same respect.
ALIKE = {
    "brightness": ("brightness_up", "brightness_down"),
    "contrast": ("contrast_up", "contrast_down"),
    "gamma": ("gamma_up", "gamma_down"),
    "blur_sigma": ("gaussian_blur", "pixelate"),  # fine detail is lost
    "noise_std": ("gaussian_noise", "speckle_noise", "shot_noise"),  # grain on every pixel
    "clahe_clip": (),
    "rotation_deg": (),
    "crop_area": (),
    "crop_aspect": (),
    "shift": (),
    "scale": (),
}


@pytest.fixture(scope="module")
def few(film: Callable[..., Gray]) -> tuple[Images, list[str]]:
    films = np.stack([film(seed, SIDE_PX, SIDE_PX) for seed in range(12)])
    return films, [sha256(pixels.tobytes()).hexdigest() for pixels in films]


def test_no_fault_is_of_a_kind_that_a_recipe_varies() -> None:
    """A new transform or corruption must be placed in ALIKE before this passes again."""
    assert ALIKE.keys() == {field.name for field in fields(Ranges)}
    varied = {
        name
        for recipe in RECIPES.values()
        for ranges in recipe.ranges.values()
        for name, bounds in asdict(ranges).items()
        if bounds != getattr(Ranges(), name)
    }
    of_recipes = {corruption for name in varied for corruption in ALIKE[name]}
    assert not of_recipes & FAULTS.keys()
    assert of_recipes | FAULTS.keys() >= CORRUPTIONS.keys()


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_fault_changes_is_not_what_the_transforms_change(
    name: str, few: tuple[Images, list[str]]
) -> None:
    """All transforms at once, each over its widest range, explain little of any fault."""
    rng = np.random.default_rng(0)
    for film in few[0][:3]:
        span = _span_of_transforms(film)
        for by in FAULTS[name].by_severity:
            change = _change(FAULTS[name].apply(film, by, rng), film)
            assert _explained(change, span) < MAX_EXPLAINED, (name, by)


def test_the_measure_knows_a_corruption_that_a_recipe_imitates(
    few: tuple[Images, list[str]],
) -> None:
    film = few[0][0]
    span = _span_of_transforms(film)
    for name in ("gaussian_blur", "gamma_up", "contrast_down", "brightness_up"):
        by = CORRUPTIONS[name].by_severity[2]
        altered = CORRUPTIONS[name].apply(film, by, np.random.default_rng(0))
        assert _explained(_change(altered, film), span) > 2 * MAX_EXPLAINED, name


def _span_of_transforms(film: Gray) -> Floats:
    """An orthonormal basis [pixels, directions] of what single transforms change in a film."""
    changes = [np.ones(film.size)]
    for name, (low, high) in asdict(LIMITS).items():
        for value in np.linspace(low, high, 4):
            ranges = Ranges(**{name: (value, value)})
            changes.append(_change(transform(film, ranges, np.random.default_rng(0)), film))
    return np.linalg.qr(np.stack([change for change in changes if change.any()]).T)[0]


def _change(after: Gray, before: Gray) -> Floats:
    return (after.astype(np.float64) - before).ravel()


def _explained(change: Floats, span: Floats) -> float:
    """Return the share of a change's energy that lies in the span, 0 to 1."""
    return float(((span.T @ change) ** 2).sum() / (change @ change))


def test_every_film_gets_one_fault_and_all_faults_occur(few: tuple[Images, list[str]]) -> None:
    films, hashes = few
    altered = shifted(films, hashes)
    assert altered.shape == films.shape
    assert altered.dtype == films.dtype
    assert all((new != old).any() for new, old in zip(altered, films, strict=True))
    shares = [(new != old).mean() for new, old in zip(altered, films, strict=True)]
    assert min(shares) < 0.03  # impulse noise leaves the other pixels as they are
    assert max(shares) > 0.5  # JPEG and stripes do not


def test_a_film_is_altered_alike_whatever_stands_beside_it(few: tuple[Images, list[str]]) -> None:
    films, hashes = few
    together = shifted(films, hashes)
    backwards = shifted(films[::-1], hashes[::-1])[::-1]
    alone = shifted(films[2:3], hashes[2:3])
    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_array_equal(together[2:3], alone)


def test_two_films_are_altered_differently(few: tuple[Images, list[str]]) -> None:
    films, hashes = few
    same = np.stack([films[0]] * 2)
    first, second = shifted(same, hashes[:2])
    assert (first != second).any()


def test_stripes_have_the_stated_amplitude_and_leave_the_mean() -> None:
    gray = np.full((SIDE_PX, SIDE_PX), 128, np.uint8)
    striped = FAULTS["stripes"].apply(gray, 0.04, np.random.default_rng(0))
    assert np.ptp(striped) / 255 == pytest.approx(0.08, abs=0.012)
    assert striped.mean() == pytest.approx(128, abs=1)
