"""How long the whole grid of the profile `study` takes, from the measured rates of its cells.

    python benchmarks/project_study.py BENCHMARK_JSON

BENCHMARK_JSON is what `pneumo benchmark` wrote with the profile's parameters in params.yaml, so
that its rates count the profile's epochs and the making of caches. Every cell trains the balanced
training set in each of its epochs. The plain loop's projection stands beside it.
"""

import argparse
import json
from pathlib import Path

import yaml


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("benchmark", type=Path)
    asked = parser.parse_args()
    path = Path(__file__).parent.parent / "profiles" / "study.yaml"
    profile = yaml.safe_load(path.read_text("utf-8"))
    num_films = 2 * profile["augment"]["size_per_class"]
    rates = ("images_per_second", "ceiling_images_per_second", "plain_images_per_second")
    total = dict.fromkeys(rates, 0.0)
    rows = json.loads(asked.benchmark.read_text("utf-8"))
    print(f"{'cell':32} {'epochs':>6} {'pneumo min':>11} {'ceiling min':>12} {'plain min':>10}")
    for row in rows:
        epochs = profile["train"][row["strategy"]]["epochs"]
        minutes = {rate: epochs * num_films / row[rate] / 60 for rate in rates}
        total = {rate: total[rate] + minutes[rate] for rate in rates}
        ours, ceiling, plain = minutes.values()
        name = f"{row['model']}-{row['strategy']}"
        print(f"{name:32} {epochs:6} {ours:11.2f} {ceiling:12.2f} {plain:10.2f}")
    ours, ceiling, plain = total.values()
    print(f"{f'{len(rows)} cells':32} {'':6} {ours:11.1f} {ceiling:12.1f} {plain:10.1f}")


if __name__ == "__main__":
    main()
