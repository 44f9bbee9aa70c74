"""`pneumo certificate`: what the splits of a source share."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.evaluation import PatientsOption

Found = tuple[str, Mapping[str, Any], list[str]]  # source, certificate, remarks

NUM_REASONS = 3  # the commonest why files cannot be read
NOT_CERTIFIED = 3  # exit code: the certificate was written, and it is not valid


def certificate(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Labelled images, as for ingest.source. Without it: the splits of this project.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="JSON file; a page in two languages is written beside it.")
    ] = Path("certificate.json"),
    patients: PatientsOption = None,
) -> None:
    """Report what the splits of a source share: duplicates, near-duplicates, patients.

    Exits with 0 if the certificate is valid, with 3 if it is not or if patients are unknown.
    """
    from pneumo_core.atomic import write_json
    from pneumo_core.data.leakage import patients_sentence, verdict
    from pneumo_core.report.files import write_certificate

    if source is None and patients is not None:
        raise typer.BadParameter("--patients needs a source: the project's splits are made.")
    source, found, notes = _of_project() if source is None else _of_source(source, patients)
    write_json(out, found)
    page, _ = write_certificate(out.parent, out.stem, found, source)
    print(f"{patients_sentence(found)}.\n{verdict(found).capitalize()}")
    for kind in ("exact_duplicates", "near_duplicates"):
        print(f"  {kind}: {', '.join(f'{value} {what}' for what, value in found[kind].items())}")
    for strength in ("confirmed", "possible"):
        num_films = found["patients"][f"{strength}_across_splits"]
        print(f"  patients {strength} in two splits: {num_films} films")
    unknown = found["patients"]["films"] - found["patients"]["known"]
    unread = Counter(found["lists"]["quarantined"].values())
    print(f"  not checked: {unread.total()} files that cannot be read, patients of {unknown} films")
    for reason, num_files in unread.most_common(NUM_REASONS):
        print(f"    {num_files}: {reason}")
    if unknown:
        print(
            "    who is on them: --patients PATTERN here, ingest.patients for a run (docs/data.md)"
        )
    for sentence in notes:
        print(f"  {sentence}")
    print(f"Page: {page.resolve()}\nEvery film behind each number: {out}")
    if not found["valid"]:
        raise typer.Exit(NOT_CERTIFIED)


def _of_source(source: str, patients: str | None) -> Found:
    from pneumo_core.evaluation.any_source import certify_source
    from tasks.stores.sources import open_by_project

    films = open_by_project(source, patients)
    certificate = certify_source(films)
    return source, certificate, films.notes.sentences()


def _of_project() -> Found:
    from pneumo_core import params
    from pneumo_core.data import leakage
    from pneumo_core.errors import DataError
    from tasks import paths

    if not paths.CERTIFICATE.is_file():
        raise DataError(
            f"There is no {paths.CERTIFICATE}: run the pipeline first, or name a folder of films."
        )
    return params.load().ingest.source, leakage.read(paths.CERTIFICATE), []
