"""Readers of one place lose by covering that place and by no other."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pneumo_core.arrays import Floats, Gray, Images
from pneumo_core.audit.occlusion import atlas, cover, measure_occlusion
from pneumo_core.audit.shortcuts import Cohort, Predict

SIDE_PX, CELL_PX, NUM = 64, 4, 160
COHORT = Cohort(np.arange(NUM) % 2, np.arange(NUM).astype(np.str_))

Draw = Callable[[Gray, int], None]  # what a label adds to a film


def _mark(pixels: Gray, label: int) -> None:
    """A letter at the edge, which films with pneumonia have."""
    pixels[8:16, 0:5] = 90 + 100 * label


def _opacity(pixels: Gray, label: int) -> None:
    pixels[30:42, 14:22] += np.uint8(60 * label)


def _films(draw: Draw, seed: int) -> Images:
    films = np.random.default_rng(seed).integers(60, 160, (NUM, SIDE_PX, SIDE_PX), np.uint8)
    for pixels, label in zip(films, COHORT.labels, strict=True):
        draw(pixels, int(label))
    return films


def _teach(films: Images) -> Predict:
    def features(images: Images) -> Floats:
        cells = SIDE_PX // CELL_PX
        blocks = images.reshape(len(images), cells, CELL_PX, cells, CELL_PX)
        means: Floats = blocks.mean((2, 4)).reshape(len(images), -1) / 255
        return means

    model = LogisticRegression(max_iter=3000).fit(features(films), COHORT.labels)
    return lambda images: model.predict_proba(features(images))[:, 1]


@pytest.mark.parametrize(
    ("draw", "place", "others", "reads_lungs"),
    [
        (_mark, "border", ("lungs", "heart"), False),
        (_opacity, "lungs", ("border", "heart"), True),
    ],
)
def test_model_loses_by_covering_what_it_reads(
    draw: Draw, place: str, others: tuple[str, ...], reads_lungs: bool
) -> None:
    found = measure_occlusion(_teach(_films(draw, 1)), _films(draw, 2), COHORT)
    assert found["unaltered"]["value"] > 0.95
    assert found["regions"][place]["loss"]["ci_low"] > 0.2
    for other in others:
        assert found["regions"][other]["loss"]["ci_high"] < 0.1
    assert found["reads_lungs"] is reads_lungs


def test_model_that_reads_lungs_and_borders_alike_reads_them_in_part() -> None:
    def both(pixels: Gray, label: int) -> None:
        _mark(pixels, label)
        _opacity(pixels, label)

    def predict(images: Images) -> Floats:
        """Each place is disturbed by noise of its own."""
        noise = np.random.default_rng(3).normal(0, 25, (2, NUM))
        mark, opacity = images[:, 8:16, 0:5].mean((1, 2)), images[:, 30:42, 14:22].mean((1, 2))
        places = np.tanh((mark - 140 + 2 * noise[0]) / 100) + np.tanh(
            (opacity - 140 + noise[1]) / 60
        )
        probabilities: Floats = 1 / (1 + np.exp(-places))
        return probabilities

    found = measure_occlusion(predict, _films(both, 2), COHORT)
    assert found["regions"]["lungs"]["loss"]["ci_low"] > 0
    assert found["reads_lungs"] is None


def test_model_that_sees_the_lungs_but_reads_the_rest_does_not_read_lungs() -> None:
    """It loses a little without the lungs, and much more without the rest."""

    def both(pixels: Gray, label: int) -> None:
        _mark(pixels, label)
        _opacity(pixels, label)

    def predict(images: Images) -> Floats:
        noise = np.random.default_rng(3).normal(0, 60, (2, NUM))
        mark, opacity = images[:, 8:16, 0:5].mean((1, 2)), images[:, 30:42, 14:22].mean((1, 2))
        places = (mark - 140 + noise[0]) / 40 + (opacity - 140 + noise[1]) / 60
        probabilities: Floats = 1 / (1 + np.exp(-places))
        return probabilities

    found = measure_occlusion(predict, _films(both, 2), COHORT)
    assert found["regions"]["lungs"]["loss"]["ci_low"] > 0
    assert found["lungs_over_rest"]["ci_high"] < 0
    assert found["reads_lungs"] is False


def test_nothing_is_left_of_what_is_covered() -> None:
    films = _films(_opacity, 4)
    for name, region in atlas(SIDE_PX).items():
        changed = films.copy()
        changed[:, region] = 255 - changed[:, region]
        assert np.array_equal(cover(films, region), cover(changed, region)), name
        assert np.array_equal(cover(films, region)[:, ~region], films[:, ~region])


def test_regions_lie_where_their_names_say() -> None:
    regions = atlas(100)
    lungs, rest = regions["lungs"], regions["all_but_lungs"]
    assert not (regions["heart"] & ~rest).any()
    assert not (~rest & regions["border"])[:84].any()
    assert (lungs | rest).all()  # covered with a margin, shown without one
    assert 0.22 < (~rest).mean() < 0.28
    assert all([lungs[50, 25], lungs[50, 78], regions["heart"][65, 55]])
    assert not any([lungs[:10].any(), lungs[:, 50].any()])
    for side_px in (64, 224):
        areas = {name: region.mean() for name, region in atlas(side_px).items()}
        assert areas == pytest.approx({n: r.mean() for n, r in regions.items()}, abs=0.03)
