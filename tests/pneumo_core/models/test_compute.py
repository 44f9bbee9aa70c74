from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import (
    Device,
    channels_last,
    choose_device,
    full_float32,
    lighten_backward,
)
from pneumo_core.models.weights import create_model
from pneumo_core.params import Precision

CPU = Device(torch.device("cpu"), False)
Flags = tuple[bool, bool]


@pytest.mark.parametrize(
    ("size_px", "expected"), [(64, 64), (224, 24), (256, 18), (512, 4), (4096, 1)]
)
def test_larger_films_are_read_fewer_at_a_time(size_px: int, expected: int) -> None:
    assert CPU.read_batch_size(size_px) == expected


def _tf32() -> Flags:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture(params=[(False, True), (True, True), (True, False)])
def around(request: pytest.FixtureRequest) -> Iterator[Flags]:
    """What the process around allows; the first is torch's default."""
    before = _tf32()
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = request.param
    yield request.param
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_float32_is_full_inside_and_the_process_is_left_as_it_was(around: Flags) -> None:
    with full_float32():
        assert _tf32() == (False, False)
        with full_float32():
            pass
        assert _tf32() == (False, False)  # until the outermost end
    assert _tf32() == around


def test_an_error_inside_leaves_the_process_as_it_was(around: Flags) -> None:
    with pytest.raises(KeyError), CPU.autocast():
        raise KeyError
    assert _tf32() == around


def test_a_model_is_run_in_full_float32(around: Flags) -> None:
    seen: list[Flags] = []
    model = create_model("test_efficientnet", "none", 2)[0]
    model.register_forward_pre_hook(lambda *_: seen.append(_tf32()))
    TorchEngine(model, Normalisation(0.5, 0.5)).read(np.zeros((2, 64, 64), np.uint8))
    assert seen == [(False, False)]
    assert _tf32() == around


def test_a_lightened_backward_pass_keeps_the_channels_last_and_the_gradients() -> None:
    model = create_model("tf_efficientnet_lite0", "none", 2)[0].eval()
    x = channels_last(torch.rand(2, 3, 64, 64))
    layouts: list[bool] = []

    def gradients() -> list[torch.Tensor]:
        model.zero_grad()
        model(x).sum().backward()
        return [p.grad.clone() for p in model.parameters()]

    def keep_layout(_: object, inputs: tuple[torch.Tensor]) -> None:
        inputs[0].register_hook(
            lambda grad: layouts.append(grad.is_contiguous(memory_format=torch.channels_last))
        )

    model.bn2.act.register_forward_pre_hook(keep_layout)  # what batch norm's backward pass gets
    before = gradients()
    lighten_backward(model)
    after = gradients()
    assert layouts == [False, True]
    assert not any(layer.inplace for layer in model.modules() if isinstance(layer, nn.Hardtanh))
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-5 * float(one.abs().max()))


@pytest.mark.parametrize("precision", ["auto", "bfloat16", "float32"])
def test_a_cpu_computes_in_float32_and_a_gpu_as_asked_and_as_it_can(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device(precision).precision == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for has in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has=has, **_: has)
        wanted = precision == "bfloat16" or (precision == "auto" and has)
        assert choose_device(precision).bfloat16 == wanted
