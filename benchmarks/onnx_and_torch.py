"""Whether ONNX Runtime reads real films as torch does: probabilities, decisions and maps.

    python benchmarks/onnx_and_torch.py ZIP [--films 1000] [--maps 100]

ZIP is the public archive. The classifiers are fresh, so the threshold is the median probability;
the Lites have the weights of ImageNet, the others random ones.
"""

import argparse
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit

from pneumo_core.arrays import Images
from pneumo_core.data.images import decode
from pneumo_core.evaluation.onnx_engine import OnnxEngine
from pneumo_core.evaluation.onnx_export import export
from pneumo_core.evaluation.saliency import map_films
from pneumo_core.evaluation.scoring import predict
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.weights import create_model

MODELS = {
    "tf_efficientnet_lite0": "packaged",
    "tf_efficientnet_lite1": "packaged",
    "resnet50": "none",
    "densenet121": "none",
    "convnext_tiny": "none",
}
SIZE_PX, MAX_PROBABILITY, MAX_MAP = 224, 1e-4, 1e-3  # of the largest value of all maps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--maps", type=int, default=100)
    asked = parser.parse_args()
    films = read(asked.archive, asked.films)
    for architecture, weights in MODELS.items():
        compare(architecture, weights, films, films[: asked.maps])


def read(archive: Path, num_films: int) -> Images:
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".jpeg"))
        drawn = np.random.default_rng(0).permutation(names)[:num_films]
        return np.stack([decode(opened.read(name), 10**8).squared(SIZE_PX) for name in drawn])


def compare(architecture: str, weights: str, films: Images, mapped: Images) -> None:
    torch.manual_seed(0)
    model, _ = create_model(architecture, weights, 2, SIZE_PX)
    in_torch = TorchEngine(model, Normalisation(0.5, 0.5))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        record = export(model, in_torch.normalisation, films, path)
        if isinstance(record, str):
            raise SystemExit(f"{architecture}: {record}")
        engine = OnnxEngine(path, lambda: in_torch)
    found, expected = (expit(predict(each, films)[0]) for each in (engine, in_torch))
    threshold = np.median(expected)
    away = np.abs(found - expected).max()
    num_other = int(((found >= threshold) != (expected >= threshold)).sum())
    begun = time.perf_counter()
    maps = map_films(engine, mapped)
    seconds = time.perf_counter() - begun
    of_torch = map_films(in_torch, mapped)
    apart = np.abs(maps - of_torch).max() / max(of_torch.max(), 1e-12)
    holds = away <= MAX_PROBABILITY and not num_other and apart <= MAX_MAP
    print(
        f"{architecture}: {len(films)} films, probabilities within {away:.1g}, {num_other} other "
        f"decisions, {len(mapped)} maps within {apart:.1g} (made in {seconds:.1f} s): "
        f"{'ok' if holds else 'NOT MET'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
