"""How the time of validate, dedup and split grows with the number of films.

    python benchmarks/growth.py [--films 6000 60000]

Phantom films, drawn before the clock starts; the stages' own functions in one process each.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml

from pneumo_core.params import DedupParams, IngestParams, SplitParams, ValidateParams
from tasks import dedup, ingest, split, telemetry_off, validate


def measure(num_films: int, folder: str) -> dict[str, float]:
    """Seconds of each stage, whose results are left in the folder."""
    telemetry_off.apply()
    os.chdir(folder)
    part = num_films // 100
    description = {
        "kind": "phantom",
        "seed": 0,
        "train": {"NORMAL": 25 * part, "PNEUMONIA": 63 * part, "exact_duplicates": part},
        "val": {"NORMAL": 1 * part, "PNEUMONIA": 1 * part},
        "test": {"NORMAL": 4 * part, "PNEUMONIA": 5 * part},
    }
    Path("phantom.yaml").write_text(yaml.safe_dump(description))
    ingest.run(IngestParams(source="phantom.yaml"))
    stages = {
        "validate": lambda: validate.run(ValidateParams(image_size_px=224)),
        "dedup": lambda: dedup.run(DedupParams()),
        "split": lambda: split.run(SplitParams(seed=0, val_per_class=8 * part)),
    }
    seconds = {}
    for name, run in stages.items():
        begun = time.perf_counter()
        run()
        seconds[name] = time.perf_counter() - begun
    return seconds | {"all": sum(seconds.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, nargs=2, default=[6_000, 60_000])
    numbers = parser.parse_args().films
    found = []
    for num_films in numbers:
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, get_context("spawn")) as process,
        ):
            found.append(process.submit(measure, num_films, folder).result())
    print(f"\n| stage | {numbers[0]:,} films | {numbers[1]:,} films | times |")
    print("| --- | --: | --: | --: |")
    for name, few in found[0].items():
        many = found[1][name]
        print(f"| {name} | {few:.1f} s | {many:.1f} s | {many / few:.1f} |")


if __name__ == "__main__":
    main()
