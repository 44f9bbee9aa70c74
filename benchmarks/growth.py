"""How the time of validate, dedup and split grows with the number of films.

    python benchmarks/growth.py [--films 6000 60000]

Phantom films, drawn before the clock starts; the stages' own functions in one process each.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml


def measure(num_films: int) -> None:
    """In an empty folder."""
    from pneumo_core.params import DedupParams, IngestParams, SplitParams, ValidateParams
    from tasks import dedup, ingest, split, telemetry_off, validate

    telemetry_off.apply()
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
    Path("seconds.json").write_text(json.dumps(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, nargs=2, default=[6_000, 60_000])
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.measure)
        return
    found = []
    root = str(Path(__file__).parent.parent)
    for num_films in asked.films:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                [sys.executable, str(Path(__file__).resolve()), "--measure", str(num_films)],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": root},
                check=True,
            )
            found.append(json.loads((Path(folder) / "seconds.json").read_text()))
    few, many = found
    print(f"\n| stage | {asked.films[0]:,} films | {asked.films[1]:,} films | times |")
    print("| --- | --: | --: | --: |")
    for name in [*few, "all"]:
        a, b = (sum(each.values()) if name == "all" else each[name] for each in (few, many))
        print(f"| {name} | {a:.1f} s | {b:.1f} s | {b / a:.1f} |")


if __name__ == "__main__":
    main()
