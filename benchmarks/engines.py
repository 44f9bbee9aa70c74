"""How fast each engine reads films on the processor, and how far it is from torch.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/engines.py [--rounds 5] [--threads 1 2]

The engines take turns, on the same noise. OpenVINO is measured where it is installed. Films a
second are by the clock and, in brackets, by a core's time, which other work does not lengthen.
"""

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from pneumo_core.allocation import freed_memory_kept
from pneumo_core.arrays import Images
from pneumo_core.evaluation.onnx_engine import FEATURES, LOGITS, OnnxEngine
from pneumo_core.evaluation.onnx_export import export
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.weights import create_model

MODELS = (
    ("tf_efficientnet_lite0", 224),
    ("tf_efficientnet_lite0", 512),
    ("resnet50", 224),
    ("densenet121", 224),
    ("convnext_tiny", 224),
)
NUM_FILMS = {224: 16, 512: 4}

Read = Callable[[Images], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    asked = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as scratch, freed_memory_kept():  # as where films are read
        for architecture, size_px in MODELS:
            path = Path(scratch) / "model.onnx"
            shape = (NUM_FILMS[size_px], size_px, size_px)
            films = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
            in_torch = make(architecture, films, path)
            for num_threads in asked.threads:
                measure(
                    f"{architecture} {size_px} px, {num_threads} threads",
                    readers(in_torch, path, num_threads),
                    films,
                    asked.rounds,
                )


def make(architecture: str, films: Images, path: Path) -> TorchEngine:
    torch.manual_seed(0)
    weights = "packaged" if "lite0" in architecture else "none"
    model, _ = create_model(architecture, weights, 2, films.shape[-1])
    in_torch = TorchEngine(model, Normalisation(0.5, 0.5))
    record = export(model, in_torch.normalisation, films[:2], path)
    if isinstance(record, str):
        raise SystemExit(f"{architecture}: {record}")
    return in_torch


def readers(in_torch: TorchEngine, path: Path, num_threads: int) -> dict[str, Read]:
    torch.set_num_threads(num_threads)
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    engines = {"torch": in_torch, "ONNX Runtime": OnnxEngine(path, lambda: in_torch)}
    found: dict[str, Read] = {
        name: lambda films, engine=engine: engine.read(films)[0] for name, engine in engines.items()
    }
    if importlib.util.find_spec("openvino"):
        found["OpenVINO"] = openvino_reader(path, num_threads)
    return found


def openvino_reader(path: Path, num_threads: int) -> Read:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # or it reports its use
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": num_threads}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    outputs = [compiled.output(name) for name in (LOGITS, FEATURES)]
    return lambda films: np.array(compiled(films)[outputs[0]])


def measure(title: str, engines: dict[str, Read], films: Images, num_rounds: int) -> None:
    logits = {name: read(films) for name, read in engines.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for _ in range(num_rounds):  # in one batch, as torch is fastest
        for name, read in engines.items():
            clock, core = time.perf_counter(), time.process_time()
            read(films)
            times[name].append((time.perf_counter() - clock, time.process_time() - core))
    by_clock, by_core = (
        {name: len(films) / float(np.median(each, axis=0)[n]) for name, each in times.items()}
        for n in (0, 1)
    )
    print(title)
    for name in engines:
        away = np.abs(logits[name] - logits["torch"]).max()
        print(
            f"  {name}: {by_clock[name]:.1f} ({by_core[name]:.1f}) films/s, "
            f"{by_clock[name] / by_clock['torch']:.2f} ({by_core[name] / by_core['torch']:.2f}) "
            f"times torch, logits within {away:.1g}",
            flush=True,
        )


if __name__ == "__main__":
    main()
