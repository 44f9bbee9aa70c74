"""The same maps from the outputs of the file as from the gradient."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from pneumo_core.arrays import Images
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.engine import Engine, choose_engine
from pneumo_core.evaluation.hirescam import contributions
from pneumo_core.evaluation.onnx_engine import OnnxEngine
from pneumo_core.evaluation.onnx_export import export
from pneumo_core.evaluation.saliency import map_films, overlay
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.labels import POSITIVE
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import to_input
from pneumo_core.models.weights import create_model

SIDE_PX, TOLERANCE = 96, 1e-4  # of the largest value of all maps


@pytest.fixture(scope="module")
def noise() -> Images:
    return np.random.default_rng(0).integers(0, 256, (9, SIDE_PX, SIDE_PX), dtype=np.uint8)


def _engines(architecture: str, noise: Images, folder: Path) -> tuple[Engine, TorchEngine]:
    torch.manual_seed(0)
    model, _ = create_model(architecture, "none", 2, SIDE_PX)
    in_torch = TorchEngine(model, Normalisation(0.5, 0.25))
    export(model, in_torch.normalisation, noise, folder / "model.onnx")
    return choose_engine(folder / "model.onnx", lambda: in_torch), in_torch


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_resnet", "test_convnext"])
def test_maps_are_those_of_the_gradient(architecture: str, noise: Images, tmp_path: Path) -> None:
    """For a ConvNeXt, whose head does more than pool, torch makes them."""
    engine, in_torch = _engines(architecture, noise, tmp_path)
    assert isinstance(engine, OnnxEngine)
    x_BCHW = to_input(torch.from_numpy(noise), in_torch.normalisation)
    map_B1HW = contributions(in_torch.model, x_BCHW, POSITIVE).relu().unsqueeze(1)
    expected = functional.interpolate(map_B1HW, noise.shape[1:], mode="bilinear")[:, 0].numpy()
    assert expected.max() > 0
    for found in (map_films(engine, noise), map_films(in_torch, noise)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * expected.max())


def test_a_transformer_has_no_map(noise: Images, tmp_path: Path) -> None:
    for engine in _engines("test_vit", noise, tmp_path):
        with pytest.raises(EvaluationError, match="needs a convolutional network"):
            map_films(engine, noise)


def test_a_film_is_bare_where_nothing_speaks() -> None:
    film = np.full((2, 2), 100, np.uint8)
    mixed = overlay(film, np.array([[0.0, 0.0], [0.0, 1.0]]))
    assert mixed.shape == (2, 2, 3)
    assert (mixed[0] == 100).all()
    assert mixed[1, 1].tolist() == [199, 201, 142]  # 35 % of the film, the rest pale yellow
