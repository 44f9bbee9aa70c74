"""`pneumo run` and `pneumo stage`: the whole pipeline, and the body of one stage."""

from enum import StrEnum
from typing import Annotated

import typer

Stage = StrEnum(  # those of dvc.yaml, in its order
    "Stage",
    "versions ingest validate dedup split augment train evaluate external audit report promote",
)


def run(
    profile: Annotated[
        str | None, typer.Option(help="First write this profile of profiles/ into params.yaml.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one value of params.yaml."),
    ] = None,
    promote: Annotated[bool, typer.Option(help="Run the promote stage too.")] = True,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Train on a Ray cluster: HOST:PORT, or auto."),
    ] = None,
) -> None:
    """Run the whole pipeline as a Prefect flow. Stages that are up to date do not run."""
    from flows.runs import alarm, outcome, params_file
    from tasks import project_lock
    from tasks.graph import dvc_graph

    with project_lock.hold_project():
        with alarm.of_errors("pneumo"):
            if profile or values:
                params_file.rewrite(profile, values or [])
            params_file.check()
            stale = dvc_graph.stale_stages(promote)
        if stale:
            from flows.runs import pipeline

            pipeline.run(promote, ray)
        else:
            print("Nothing to do: every result is newer than what it depends on.")
    print(outcome.describe(promote))
    print(f"\n{outcome.next_steps()}")


def stage(
    name: Stage,
    part: Annotated[
        list[str] | None,
        typer.Argument(
            help="train: a timm name and one of frozen, partial, full; external: the name of a set"
        ),
    ] = None,
) -> None:
    """Run one stage as dvc.yaml does. Use `dvc repro` or `pneumo run` instead."""
    from flows.runs.stages import run_body

    run_body(name.value, *(part or ()))
