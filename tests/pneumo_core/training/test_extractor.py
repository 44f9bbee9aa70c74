"""Features by ONNX Runtime are those of torch, which reads where ONNX Runtime cannot."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pneumo_core.arrays import Gray
from pneumo_core.models import onnx_file, onnx_session
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import choose_device
from pneumo_core.models.strategies import cut, cut_twice, freeze
from pneumo_core.models.weights import create_model
from pneumo_core.params import Strategy
from pneumo_core.training.extractor import Extractor

RUN = onnx_session.run


@pytest.fixture
def films(film: Callable[..., Gray]) -> torch.Tensor:
    return torch.from_numpy(np.stack([film(seed, 96, 96) for seed in range(5)]))


def _extractor(name: str, strategy: Strategy, films: torch.Tensor) -> Extractor:
    model = create_model(name, "none", 2)[0]
    freeze(model, strategy)
    parts = cut(model, torch.rand(2, 3, 96, 96))
    assert parts is not None
    return Extractor(parts[0], choose_device("float32"), films[:2], Normalisation(0.5, 0.25))


@pytest.mark.parametrize("strategy", [Strategy.FROZEN, Strategy.PARTIAL])
@pytest.mark.parametrize("name", ["test_efficientnet", "test_resnet", "test_convnext"])
def test_onnx_runtime_gives_the_features_of_torch(
    name: str, strategy: Strategy, films: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = _extractor(name, strategy, films)
    expected = extract.in_torch(films)
    monkeypatch.setattr(extract, "in_torch", lambda _: expected[:2])  # of the comparison alone
    assert torch.allclose(extract(films), expected, atol=1e-5)
    assert torch.equal(extract(films[3:]), extract(films)[3:])  # whatever it is read with


@pytest.mark.parametrize("fault", ["not exported", "other features", "no number"])
def test_torch_reads_what_onnx_runtime_does_not_read_equally(
    fault: str,
    films: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("No such operator.")

    def off(*args: object) -> list[np.ndarray]:
        (features,) = RUN(*args)
        return [features * (1.001 if fault == "other features" else np.nan)]

    if fault == "not exported":
        monkeypatch.setattr(onnx_file, "write", fail)
    else:
        monkeypatch.setattr(onnx_session, "run", off)
    extract = _extractor("test_resnet", Strategy.FROZEN, films)
    assert torch.equal(extract(films), extract.in_torch(films))
    (said,) = caplog.messages
    assert ("No such operator" in said) == (fault == "not exported")


def test_an_export_leaves_the_trunk_as_it_was(films: torch.Tensor) -> None:
    extract = _extractor("test_resnet", Strategy.PARTIAL, films)
    before = extract.in_torch(films)
    extract(films)
    assert torch.equal(extract.in_torch(films), before)


def test_onnx_runtime_reads_both_halves_of_the_packaged_backbone() -> None:
    model = create_model("tf_efficientnet_lite0", "none", 2)[0]
    freeze(model, Strategy.FROZEN)
    halves = cut_twice(model, Strategy.PARTIAL, torch.rand(2, 3, 64, 64))
    assert halves is not None
    films = torch.randint(256, (2, 64, 64), dtype=torch.uint8)
    device, normalisation = choose_device("float32"), Normalisation(0.5, 0.25)
    first = Extractor(halves[0], device, films, normalisation)
    between = first.in_torch(films)
    rest = Extractor(halves[1], device, between)
    for extract, rows in ((first, films), (rest, between)):
        assert extract._session is not None
        expected = extract.in_torch(rows)
        assert torch.allclose(extract(rows), expected, atol=1e-5 * float(expected.abs().max()))
