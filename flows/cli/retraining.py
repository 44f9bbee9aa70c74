"""Commands around a retraining: whether one is called for, and what it changed."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.evaluation import Bundle

CALLED_FOR = 3  # exit code; 1 is an error, 2 a wrong command line


def monitor(
    source: Annotated[
        str | None,
        typer.Option(help="New films, sorted or not; otherwise what is new in ingest.source."),
    ] = None,
    bundle: Bundle = None,
    alias: Annotated[str, typer.Option(help="Role in the registry.")] = "champion",
    out: Annotated[
        Path, typer.Option(help="Folder for monitor.md, monitor.json and monitor.svg.")
    ] = Path("var/monitor"),
) -> None:
    """Hold new films against the training data; exit code 3 if a training is called for.

    It is started on the Prefect server, if one is configured.
    """
    from flows.runs import monitoring

    findings = monitoring.look(source, bundle, alias, out)
    if not findings.reasons:
        print("Nothing calls for a training.")
    for reason in findings.reasons:
        print(reason)
    print(f"Written to {out}")
    if findings.reasons:
        print(monitoring.call_for_training(findings))
        raise typer.Exit(CALLED_FOR)


def diff(
    revision: Annotated[str, typer.Argument(help="A git branch, tag or commit.")] = "origin/main",
) -> None:
    """Print what the results here change against another commit, as Markdown."""
    from tasks.commands import changes

    print(changes.describe(revision))
