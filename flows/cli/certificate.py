"""`pneumo certificate`: what the splits of a source share."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import PatientsOption

NOT_CERTIFIED = 3  # exit code: the certificate was written, and it is not valid


def certificate(
    source: Annotated[str, typer.Option(help="Labelled images, as for ingest.source.")],
    out: Annotated[Path, typer.Option(help="JSON file; a page (.md) is written beside it.")],
    patients: PatientsOption = None,
) -> None:
    """Report what the splits of a source share: duplicates, near-duplicates, patients.

    Exits with 0 if the certificate is valid, with 3 if it is not or if patients are unknown.
    """
    from pneumo_core.atomic import write_json, write_text
    from pneumo_core.data.leakage import patients_sentence, verdict
    from pneumo_core.evaluation.any_source import certify_source
    from pneumo_core.preparation.certificate import describe
    from tasks.stores.sources import open_by_project

    films = open_by_project(source, patients)
    found = certify_source(films)
    write_json(out, found)
    write_text(out.with_suffix(".md"), describe(found, source))
    print(f"{patients_sentence(found)}.\n{verdict(found).capitalize()}")
    for kind in ("exact_duplicates", "near_duplicates"):
        print(f"  {kind}: {', '.join(f'{value} {what}' for what, value in found[kind].items())}")
    for strength in ("confirmed", "possible"):
        num_films = found["patients"][f"{strength}_across_splits"]
        print(f"  patients {strength} in two splits: {num_films} films")
    unknown = found["patients"]["films"] - found["patients"]["known"]
    unread = len(found["lists"]["quarantined"])
    print(f"  not checked: {unread} files that cannot be read, patients of {unknown} films")
    for sentence in films.notes.sentences():
        print(f"  {sentence}")
    print(f"Written to {out} and {out.with_suffix('.md')}")
    if not found["valid"]:
        raise typer.Exit(NOT_CERTIFIED)
