from collections.abc import Callable

import numpy as np
import pytest
import torch

from pneumo_core.arrays import Gray, Images
from pneumo_core.data.views import VIEWS, View
from pneumo_core.evaluation.scoring import Scorer, predict
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models.bundle import Description
from pneumo_core.models.weights import create_model


@pytest.fixture
def few(film: Callable[..., Gray]) -> Images:
    return np.stack([film(seed) for seed in range(3)])


def test_the_first_view_is_the_film_itself(few: Images) -> None:
    assert VIEWS[0].of(few) is few


def _flat(films: Images) -> Images:
    return films.reshape(len(films), -1)


@pytest.mark.parametrize("view", VIEWS[1:])
def test_every_other_view_shows_the_same_film_otherwise(view: View, few: Images) -> None:
    seen = view.of(few)
    assert seen.shape == few.shape
    assert (seen != few).any()
    inner = (slice(None), slice(16, 48), slice(16, 48))
    alike = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(*map(_flat, (seen[inner], few[inner])), strict=True)
    ]
    assert min(alike) > 0.8


def test_a_closer_view_shows_less_and_a_further_one_a_black_margin(few: Images) -> None:
    bright = np.full_like(few, 200)
    assert (View(scale=1.08).of(bright) == 200).all()
    assert (View(scale=0.92).of(bright)[:, 0, :] == 0).all()


def test_a_scorer_gives_the_mean_logit_of_its_views(few: Images, description: Description) -> None:
    torch.manual_seed(0)
    model, _ = create_model("test_efficientnet", "none", 2)
    engine = TorchEngine(model, description.normalisation)
    one, all_five = (
        Scorer(engine, description.model_copy(update={"views": views}))
        for views in (VIEWS[:1], VIEWS)
    )
    seen = [view.of(few) for view in VIEWS]
    together = predict(engine, np.concatenate(seen))[0].reshape(len(VIEWS), len(few))
    by_view = [predict(engine, films)[0] for films in seen]
    np.testing.assert_array_equal(one.logits(few), by_view[0])
    np.testing.assert_allclose(all_five.logits(few), together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(together, by_view, atol=1e-6)  # a batch of another size rounds so
    np.testing.assert_array_equal(all_five.predict(few)[1], one.predict(few)[1])
    np.testing.assert_array_equal(all_five.features(few), one.features(few))
