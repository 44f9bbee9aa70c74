from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.runs import model_check, params_file
from pneumo_core import params
from pneumo_core.errors import TrainingError, WeightsError
from pneumo_core.models import architectures

PARAMS = Path(__file__).parents[3] / "params.yaml"
ROLES = PARAMS.parent / "mlflow" / "phantom"


@pytest.fixture
def params_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = PARAMS.read_text().replace("policies: mlflow/phantom", f"policies: {ROLES}")
    source = PARAMS.parent / "sources" / "phantom.yaml"
    params.FILE.write_text(text.replace("source: sources/phantom.yaml", f"source: {source}"))
    return tmp_path / params.FILE


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were tried."""
    tried: list[str] = []
    real: Callable[..., None] = architectures.require_trainable

    def spy(model: str, *rest: Any) -> None:
        tried.append(model)
        real(model, *rest)

    monkeypatch.setattr(architectures, "require_trainable", spy)
    return tried


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("train.models=[resnet_50]", WeightsError, "Did you mean resnet50"),
        ("train.models=[resnet18, crossvit_9_240]", TrainingError, "image_size_px to 240"),
        ("train.models=[timm/resnet18]", WeightsError, "hf-hub:owner/name"),
    ],
)
def test_models_that_cannot_train_leave_params_as_they_were(
    params_here: Path, change: str, error: type[Exception], message: str
) -> None:
    before = params_here.read_bytes()
    with pytest.raises(error, match=message):
        params_file.rewrite(None, [change])
    assert params_here.read_bytes() == before


@pytest.mark.slow
@pytest.mark.usefixtures("params_here")
def test_size_that_a_model_does_not_take_is_found_too() -> None:
    params_file.rewrite(None, ["train.models=[crossvit_9_240]", "validate.image_size_px=240"])
    with pytest.raises(TrainingError, match="crossvit_9_240 cannot learn from films of 128 px"):
        params_file.rewrite(None, ["validate.image_size_px=128"])


@pytest.mark.slow
@pytest.mark.usefixtures("params_here")
def test_a_model_is_tried_once_for_each_size(trials: list[str]) -> None:
    params_file.rewrite(None, ["train.models=[test_resnet]"])
    params_file.check()
    assert trials == ["test_resnet"]
    params_file.rewrite(None, ["validate.image_size_px=64"])
    assert trials == ["test_resnet"] * 2
    model_check.TRIED.write_text("{ damaged")
    params_file.check()
    params_file.check()
    assert trials == ["test_resnet"] * 3
