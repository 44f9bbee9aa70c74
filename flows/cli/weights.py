"""`pneumo weights`: pretrained weights for machines without a network."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Pretrained weights for machines without a network.", no_args_is_help=True)


@app.command("fetch")
def fetch(
    models: Annotated[list[str], typer.Argument(help="timm names.")],
    out: Annotated[Path, typer.Option(help="The folder; models that it holds already stay.")],
) -> None:
    """Write the pretrained weights of models into a folder, for train.weights."""
    from tasks.commands import weights

    weights.fetch(models, out)


@app.command("verify")
def verify(folder: Annotated[Path, typer.Argument(help="A folder of weights.")]) -> None:
    """Check every file against weights.json."""
    from tasks.commands import weights

    weights.verify(folder)
