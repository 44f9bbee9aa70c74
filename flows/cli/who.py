"""`pneumo who`: the file and the patient behind the id of a film."""

from typing import Annotated

import typer

from flows.cli.evaluation import PatientsOption


def who(
    image_ids: Annotated[
        list[str], typer.Argument(help="Ids of films, the beginnings of ids, or ids of patients.")
    ],
    source: Annotated[
        str | None, typer.Option(help="Labelled images that were not ingested here.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Split of that source; all: every film of it.")
    ] = "all",
    patients: PatientsOption = None,
) -> None:
    """Show which file and which patient a film of a report is. For those who may know."""
    import pandas as pd

    from pneumo_core.sources import identity
    from tasks import paths
    from tasks.commands import names

    if source is None:
        known = identity.read(paths.NAMES)
    else:
        known = names.of_source(source, split, patients)
    for film in [identity.find(known, image_id) for image_id in image_ids]:
        patient = "unknown" if pd.isna(film["patient"]) else film["patient"]
        print(f"{film['image_id']}  {film['file']}")
        print(f"  source: {film['origin']}, label: {film['label']}, patient: {patient}")
