"""`pneumo weights`: pretrained weights for machines without a network."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Fetch pretrained weights for machines without a network.", no_args_is_help=True
)


@app.command("fetch")
def fetch(
    models: Annotated[list[str], typer.Argument(help="timm names.")],
    out: Annotated[Path, typer.Option(help="Folder; models that are already in it stay.")],
) -> None:
    """Write pretrained weights into a folder that train.weights can name."""
    from tasks.commands import weights

    weights.fetch(models, out)


@app.command("verify")
def verify(folder: Annotated[Path, typer.Argument(help="Folder of weights.")]) -> None:
    """Compare every file with weights.json."""
    from tasks.commands import weights

    weights.verify(folder)
