"""`pneumo report`: the report on any model and any labelled films."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import Alias, Bundle, PatientsOption, SplitOption


def report(
    source: Annotated[str, typer.Option(help="Labelled images, as for ingest.source.")],
    out: Annotated[Path, typer.Option(help="Folder for the pages and their figures.")],
    split: SplitOption = "test",
    bundle: Bundle = None,
    alias: Alias = "champion",
    patients: PatientsOption = None,
) -> None:
    """Write the report of a model on labelled films, in English and Korean."""
    from flows.serving.models import load_model
    from pneumo_core.params import load_measurement
    from pneumo_core.report.any_source import report_source
    from pneumo_core.report.files import PAGE_OF
    from tasks.stores.sources import open_by_project

    params = load_measurement()
    model = load_model(bundle, alias)
    films = open_by_project(source, patients)
    metrics = report_source(model.reader, films, source, split, out, model.identity, params)
    print(model.describe())
    print(f"{metrics['n']} films of {split}: {out / PAGE_OF['en']}, {out / PAGE_OF['ko']}")
