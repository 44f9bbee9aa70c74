"""`pneumo monitor` and `pneumo diff`: whether a retraining is due, and what it changed."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import Alias, Bundle

CALLED_FOR = 3  # exit code; 1 is an error, 2 a wrong command line


def monitor(
    source: Annotated[
        str | None,
        typer.Option(help="New films, labelled or not; by default those in ingest.source."),
    ] = None,
    bundle: Bundle = None,
    alias: Alias = "champion",
    out: Annotated[
        Path, typer.Option(help="Folder for monitor.html, its Korean page and monitor.json.")
    ] = Path("var/monitor"),
) -> None:
    """Compare new films with the training data.

    Exit code 3: a training is due, or too many films cannot be used.

    The training is started on the Prefect server, if one is configured.
    """
    from flows.runs import monitoring

    findings = monitoring.look(source, bundle, alias, out)
    if findings.unusable:
        print(findings.unusable)
    elif not findings.reasons:
        print("No training is due.")
    for reason in findings.reasons:
        print(reason)
    print(f"Page: {(out / 'monitor.html').resolve()}")
    if findings.reasons:
        print(monitoring.call_for_training(findings))
    if findings.reasons or findings.unusable:
        raise typer.Exit(CALLED_FOR)


def diff(
    revision: Annotated[str, typer.Argument(help="Git branch, tag or commit.")] = "origin/main",
) -> None:
    """Print how the results differ from those of another commit, as Markdown."""
    from tasks.commands import changes

    print(changes.describe(revision))
