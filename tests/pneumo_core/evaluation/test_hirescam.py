import numpy as np
import pytest
import timm
import torch
from torch import nn

from pneumo_core.arrays import Floats
from pneumo_core.errors import EvaluationError
from pneumo_core.evaluation.hirescam import contributions, last_spatial_layer
from pneumo_core.evaluation.saliency import enlarge

SIDE_PX, CELL_PX = 64, 8


def _saliency(model: nn.Module, x_BCHW: torch.Tensor, positive: int) -> Floats:
    return enlarge(contributions(model, x_BCHW, positive).double().numpy(), SIDE_PX)


def _mean_of_cells() -> nn.Conv2d:
    """A film of 64 x 64 to the brightness of its 8 x 8 cells."""
    layer = nn.Conv2d(3, 1, CELL_PX, CELL_PX, bias=False)
    nn.init.constant_(layer.weight, 1 / (3 * CELL_PX**2))
    return layer


def _linear(*weights: float) -> nn.Linear:
    """NORMAL gets nothing, PNEUMONIA the weighted sum."""
    layer = nn.Linear(len(weights), 2, bias=False)
    layer.weight.data = torch.tensor([[0.0] * len(weights), list(weights)])
    return layer


def _films_with_light_at(*cells: tuple[int, int]) -> torch.Tensor:
    x_BCHW = torch.zeros(len(cells), 3, SIDE_PX, SIDE_PX)
    for film, (row, column) in zip(x_BCHW, cells, strict=True):
        film[:, row * CELL_PX :, column * CELL_PX :][:, :CELL_PX, :CELL_PX] = 1
    return x_BCHW


def _brightest_cell(map_HW: Floats) -> tuple[int, int]:
    row, column = divmod(int(map_HW.argmax()), SIDE_PX)
    return row // CELL_PX, column // CELL_PX


def test_lights_the_place_that_makes_the_score() -> None:
    model = nn.Sequential(
        _mean_of_cells(),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        _linear(1.0),
    )
    cells = ((1, 5), (6, 2))
    maps_BHW = _saliency(model, _films_with_light_at(*cells), 1)
    assert maps_BHW.shape == (2, SIDE_PX, SIDE_PX)
    assert tuple(map(_brightest_cell, maps_BHW)) == cells
    assert maps_BHW.min() == 0
    # One lit cell of 64 is all of the log odds; between the cells a map is smooth.
    assert maps_BHW.max((1, 2)).tolist() == pytest.approx([1 / CELL_PX**2] * 2, rel=0.15)


def test_lights_only_what_the_head_reads() -> None:
    """Where Grad-CAM would average the gradient over the map and light both places."""
    read, unread = (1, 1), (6, 6)
    weights = [0.0] * CELL_PX**2
    weights[read[0] * CELL_PX + read[1]] = 1.0
    model = nn.Sequential(_mean_of_cells(), nn.ReLU(), nn.Flatten(), _linear(*weights))
    film_CHW = _films_with_light_at(read, unread).amax(0)
    map_HW = _saliency(model, film_CHW[None], 1)[0]
    assert _brightest_cell(map_HW) == read
    assert map_HW[unread[0] * CELL_PX :, unread[1] * CELL_PX :].max() == 0


def test_what_speaks_against_the_class_is_dark_without_nan() -> None:
    model = nn.Sequential(_mean_of_cells(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), _linear(-1.0))
    x_BCHW = _films_with_light_at((3, 3))
    assert not _saliency(model, x_BCHW, 1).any()
    assert _saliency(model, x_BCHW, 0).max() > 0


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("tf_efficientnet_lite0", "bn2"),
        ("efficientnet_b0", "bn2"),
        ("densenet121", "features"),
        ("convnext_tiny", "norm_pre"),
        ("resnet50", "layer4"),
        ("mobilenetv3_small_100", "blocks"),
    ],
)
def test_finds_the_last_map_of_the_studys_models_and_others(architecture: str, layer: str) -> None:
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=2).eval()
    x_BCHW = torch.randn(2, 3, SIDE_PX, SIDE_PX)
    assert last_spatial_layer(model, x_BCHW) is model.get_submodule(layer)
    maps_2BHW = np.stack([_saliency(model, x_BCHW, positive) for positive in (0, 1)])
    assert maps_2BHW.shape == (2, 2, SIDE_PX, SIDE_PX)
    assert np.isfinite(maps_2BHW).all()
    assert maps_2BHW.min() == 0 < maps_2BHW.max()


def test_contributions_add_up_to_the_log_odds() -> None:
    """Where one linear layer follows the mean of the map, but for its bias."""
    torch.manual_seed(0)
    model = timm.create_model("tf_efficientnet_lite0", num_classes=2).eval()
    model.classifier.bias.data.zero_()
    x_BCHW = torch.randn(2, 3, SIDE_PX, SIDE_PX)
    logits = model(x_BCHW).detach()
    added = contributions(model, x_BCHW, 1).sum((1, 2))
    assert torch.allclose(added, logits[:, 1] - logits[:, 0], rtol=1e-4, atol=1e-6)


def test_leaves_no_trace_on_the_model() -> None:
    model = timm.create_model("resnet10t", num_classes=2)
    _saliency(model, torch.randn(1, 3, SIDE_PX, SIDE_PX), 1)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_transformer_has_no_map() -> None:
    model = timm.create_model("vit_tiny_patch16_224", num_classes=2, img_size=SIDE_PX)
    with pytest.raises(EvaluationError, match="VisionTransformer"):
        _saliency(model, torch.randn(1, 3, SIDE_PX, SIDE_PX), 1)
