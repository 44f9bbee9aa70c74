"""Training speed on this machine, beside a plain loop and the ceiling; not a stage."""

from dataclasses import asdict
from pathlib import Path

from pneumo_core import charts
from pneumo_core import params as all_params
from pneumo_core.atomic import write_json, write_text
from pneumo_core.experiments.throughput import benchmark
from pneumo_core.experiments.throughput_figures import as_markdown, chart
from pneumo_core.params import Params
from tasks.device_lock import own_device


def run(
    params: Params,
    out: Path,
    models: str | None,
    strategies: str | None,
    image_size_px: int,
    batch_size: int | None,
    seconds: float,
) -> None:
    """Measure, and write benchmark.json and benchmark.svg into `out`.

    Args:
        models, strategies: names separated by commas; None: as in `params`.

    Raises:
        ParamsError: a value that `params.yaml` could not have either.
    """
    content = params.model_dump(by_alias=True)
    for section, key, value in (
        ("train", "models", models.split(",") if models else None),
        ("train", "strategies", strategies.split(",") if strategies else None),
        ("train", "batch_size", batch_size),
        ("validate", "image_size_px", image_size_px),
    ):
        if value is not None:
            content[section][key] = value
    asked = all_params.parse(content, "pneumo benchmark")
    with own_device():
        rows = benchmark(asked.train, asked.validation.image_size_px, seconds)
    write_json(out / "benchmark.json", [asdict(row) for row in rows])
    write_text(out / "benchmark.svg", charts.standalone(chart(rows)))
    print(as_markdown(rows))
    first = rows[0]
    print(
        f"Images a second on {first.device_name} ({first.precision}), "
        f"{first.image_size} px, batch {first.batch}; over so many epochs, caching included."
    )
    print(f"Written to {out / 'benchmark.json'} and {out / 'benchmark.svg'}")
