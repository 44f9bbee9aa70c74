"""`pneumo augment`: the augmentation recipes compared."""

from pathlib import Path
from typing import Annotated

import typer

from pneumo_core.params import Strategy

app = typer.Typer(help="Compare the augmentation recipes.", no_args_is_help=True)


@app.command("compare")
def compare(
    out: Annotated[
        Path, typer.Option(help="Folder for index.html, comparison.json and comparison.csv.")
    ] = Path("var/augment_compare"),
    size_per_class: Annotated[
        int, typer.Option(min=10, help="Training films of each class in one training.")
    ] = 400,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each recipe.")] = 3,
    model: Annotated[
        str | None, typer.Option(help="timm name; by default the first of train.models.")
    ] = None,
    strategy: Annotated[Strategy, typer.Option(help="Which layers are trained.")] = Strategy.FROZEN,
) -> None:
    """Train with each of the twelve recipes and with none, and compare them on validation."""
    from pneumo_core import params
    from tasks import paths
    from tasks.commands import augment_compare as body

    body.run(params.load(paths.PARAMS), out, size_per_class, seeds, model, strategy)
