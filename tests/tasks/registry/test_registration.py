from importlib.metadata import version

import pytest

from pneumo_core.models.bundle import Description, OnnxRecord
from tasks.registry import registration


@pytest.mark.parametrize(
    ("onnx", "needed"),
    [(None, ["onnxruntime", "torch"]), (OnnxRecord.model_construct(), ["onnxruntime"])],
)
def test_a_model_requires_torch_where_nothing_else_reads_it(
    onnx: OnnxRecord | None, needed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = ["onnxruntime>=1", 'torch>=2; extra == "train"', 'dvc>=3; extra == "ops"']
    monkeypatch.setattr(registration, "requires", lambda _: stated)
    description = Description.model_construct(onnx=onnx or "it cannot be exported")
    found = registration.requirements(description)
    assert found == [f"{name}=={version(name)}" for name in needed]
