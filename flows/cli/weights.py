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
    from pneumo_core.models import fetch_weights

    for model in models:
        entry = fetch_weights.fetch(model, out)
        licence = entry.licence or "not stated by timm"
        print(f"{out / entry.file}: {entry.origin} (licence: {licence})")


@app.command("verify")
def verify(folder: Annotated[Path, typer.Argument(help="Folder of weights.")]) -> None:
    """Compare every file with weights.json."""
    from pneumo_core.errors import WeightsError
    from pneumo_core.models import offline_weights

    if faults := offline_weights.find_faults(folder):
        raise WeightsError(f"{folder} is not as it was fetched: {'; '.join(faults)}.")
    print(f"{folder} is as it was fetched: {', '.join(offline_weights.read_index(folder).models)}")
