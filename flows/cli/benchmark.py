"""`pneumo benchmark`: training speed on this machine."""

from pathlib import Path
from typing import Annotated

import typer


def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json and benchmark.svg.")],
    models: Annotated[str | None, typer.Option(help="timm names.", metavar="A,B")] = None,
    strategies: Annotated[
        str | None, typer.Option(help="frozen, partial, full.", metavar="A,B")
    ] = None,
    image_size: Annotated[int, typer.Option(help="Pixels a side.")] = 224,
    batch: Annotated[int | None, typer.Option(help="Films a step.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of each measurement.")] = 8,
) -> None:
    """Measure how fast models train here, beside a plain PyTorch loop. It needs no data."""
    from pneumo_core import params
    from tasks.commands import benchmark as body

    chosen = params.load()
    body.run(chosen, out, models, strategies, image_size, batch, seconds)
