"""Where the time of a training on a CPU goes: a film's share of each part, and of each operation.

    OMP_NUM_THREADS=1 python benchmarks/training_profile.py FILMS [--films 128] [--strategy partial]

FILMS is the folder of packed films (`results/validate/images` after that stage). Times are seconds
of a processor, so a busy machine disturbs them little; with several threads, waiting counts too.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from pneumo_core import params
from pneumo_core.allocation import freed_memory_kept
from pneumo_core.data.packed import PackedImages
from pneumo_core.models.bundle import Normalisation
from pneumo_core.models.compute import channels_last, full_float32, to_batch
from pneumo_core.models.strategies import cut, set_train_mode
from pneumo_core.params import Strategy
from pneumo_core.training.context import Cell, Context
from pneumo_core.training.epochs import EVAL_BATCH_SIZE
from pneumo_core.training.features import _features
from pneumo_core.training.steps import Step
from pneumo_core.training.waiting import DataWait

NUM_OPERATIONS = 12


def parts_of(films: np.ndarray, strategy: Strategy) -> None:
    settings = params.load(Path(__file__).parent.parent / "params.yaml").train
    context = Context.of(Cell(settings.models[0], strategy), settings, lambda _: None)
    model, _ = context.start_model(films.shape[-1])
    normalisation, device = Normalisation.of_model(model), context.device
    found = cut(model, to_batch(films[:2], normalisation, device))
    assert found, "this model has no cut"
    trunk, tail = found
    size, batch = device.read_batch_size(films.shape[-1]), settings.batch_size
    milliseconds = {}

    def timed(name: str, num_films: int, begun: float) -> None:
        milliseconds[name] = (time.process_time() - begun) * 1e3 / num_films

    begun = time.process_time()
    parts = [
        _features(trunk, films[start : start + size], normalisation, device)
        for start in range(0, len(films), size)
    ]
    timed(f"features ({device.precision}), once", len(films), begun)
    features = torch.cat(parts)

    def fetch(rows: np.ndarray) -> torch.Tensor:
        return channels_last(features[rows].float())

    labels = np.arange(len(films)) % 2
    step = Step(context, tail, labels, fetch, DataWait(lambda _: None))
    set_train_mode(tail)
    batches = [np.arange(start, start + batch) for start in range(0, len(films), batch)]
    batches = [rows for rows in batches if rows[-1] < len(films)]
    step(batches[0], 1e-4)
    begun = time.process_time()
    for rows in batches:
        step(rows, 1e-4)
    timed("steps (float32), each epoch", batch * len(batches), begun)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiled:
        for rows in batches:
            step(rows, 1e-4)
    tail.eval()
    begun = time.process_time()
    with torch.inference_mode():
        for start in range(0, len(films), EVAL_BATCH_SIZE):
            tail(fetch(np.arange(start, min(start + EVAL_BATCH_SIZE, len(films)))))
    timed("validation, each epoch", len(films), begun)

    print(
        f"{context.cell.name}, cut before {trunk.cut_name}\n\n| part | ms a film |\n| --- | --: |"
    )
    for name, each in milliseconds.items():
        print(f"| {name} | {each:.1f} |")
    operations = profiled.key_averages(group_by_input_shape=True)
    total = sum(each.self_cpu_time_total for each in operations)
    print("\n| operation of a step | shapes | share |\n| --- | --- | --: |")
    operations = sorted(operations, key=lambda each: -each.self_cpu_time_total)
    for each in operations[:NUM_OPERATIONS]:
        shapes = ", ".join(str(shape) for shape in each.input_shapes[:3] if shape)
        print(f"| {each.key} | {shapes} | {each.self_cpu_time_total / total:.0%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, metavar="FILMS")
    parser.add_argument("--films", type=int, default=128)
    parser.add_argument("--strategy", type=Strategy, default=Strategy.PARTIAL)
    asked = parser.parse_args()
    images = PackedImages.open(asked.images)
    films = images[np.linspace(0, len(images) - 1, asked.films).astype(int)]
    with full_float32(), freed_memory_kept():
        parts_of(films, asked.strategy)


if __name__ == "__main__":
    main()
