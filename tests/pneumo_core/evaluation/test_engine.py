"""A bundle is read by ONNX Runtime on a processor, and by torch on a GPU; both agree."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pneumo_core.arrays import Images
from pneumo_core.errors import BundleError
from pneumo_core.evaluation import engine as engines
from pneumo_core.evaluation.engine import choose_engine
from pneumo_core.evaluation.onnx_engine import OnnxEngine
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models import bundle


@pytest.fixture(scope="module")
def noise() -> Images:
    return np.random.default_rng(0).integers(0, 256, (400, 64, 64), dtype=np.uint8)


def test_both_engines_read_the_same(small_bundle: Path, noise: Images) -> None:
    scorer = Scorer.load(small_bundle)
    assert isinstance(scorer.engine, OnnxEngine)
    in_torch = Scorer(scorer.engine.in_torch(), scorer.description)
    (logits, features), (expected, of_torch) = (each.predict(noise) for each in (scorer, in_torch))
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(features, of_torch, rtol=0, atol=1e-4 * of_torch.max())


def test_a_gpu_keeps_torch(small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "CUDA_DRIVER", None)  # a library that is there: the program itself
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert isinstance(Scorer.load(small_bundle).engine, TorchEngine)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert isinstance(Scorer.load(small_bundle).engine, OnnxEngine)


def test_a_model_that_cannot_be_exported_is_read_by_torch(small_bundle: Path) -> None:
    in_torch = Scorer.load(small_bundle).engine.in_torch()
    assert choose_engine(None, lambda: in_torch) is in_torch


def test_predictions_depend_on_no_number_of_threads_and_no_other_film(
    small_bundle: Path, noise: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for num_threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", num_threads)
        scorer = Scorer.load(small_bundle)
        found += [scorer.logits(noise), scorer.logits(noise)]
        found += [np.concatenate([scorer.logits(noise[:7]), scorer.logits(noise[7:])])]
    for each in found[1:]:
        np.testing.assert_array_equal(each, found[0])


def test_a_processor_needs_no_torch(small_bundle: Path) -> None:
    code = f"""
import sys
from pathlib import Path
import numpy as np
from pneumo_core.inference.reader import Reader
reader = Reader.load(Path({str(small_bundle)!r}), "reading_aid")
reader.explain(np.zeros((1, 64, 64), np.uint8))
print([name for name in ("torch", "timm", "torchvision") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_a_file_that_onnx_runtime_cannot_load_is_refused(
    small_bundle: Path, tmp_path: Path
) -> None:
    path = tmp_path / bundle.ONNX
    path.write_bytes((small_bundle / bundle.ONNX).read_bytes()[:1000])
    with pytest.raises(BundleError, match=r"ONNX Runtime cannot load .*model\.onnx"):
        choose_engine(path, Scorer.load(small_bundle).engine.in_torch)
