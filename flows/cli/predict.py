"""`pneumo predict`: the probability of pneumonia for films in files."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import Alias, Bundle


def predict(
    images: Annotated[
        list[Path], typer.Argument(help="Films (JPEG, PNG, DICOM, ...) or folders of them.")
    ],
    bundle: Bundle = None,
    alias: Alias = "champion",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Predict the probability of pneumonia for single films. For research, not for diagnosis."""
    from flows.serving.models import load_model
    from pneumo_core.inference import files

    model = load_model(bundle, alias)
    predictions = files.predict(model.reader, images)
    for each in predictions:
        if as_json:
            print(json.dumps(each))
        elif "error" in each:
            print(f"{each['path']}: {each['error']}", file=sys.stderr)
        else:
            print(f"{each['path']}: {each['decision']}, probability {each['probability']:.3f}")
    if not as_json:
        print(model.describe(), file=sys.stderr)
    if any("error" in each for each in predictions):
        raise typer.Exit(1)
