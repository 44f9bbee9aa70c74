"""The command line: parse, call, print. Heavy packages are imported where a command needs them."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import evaluation, registry, release, report, retraining, serve, weights
from flows.cli.evaluation import Alias, Bundle
from pneumo_core.errors import PneumoError, sentence
from pneumo_core.params import Strategy
from tasks import telemetry_off

app = typer.Typer(
    help="From a folder of chest X-rays to a registered, traceable pneumonia classifier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

augment_app = typer.Typer(help="What the augmentation recipes do.", no_args_is_help=True)
app.add_typer(augment_app, name="augment")
app.add_typer(weights.app, name="weights")
app.add_typer(registry.app, name="registry")
app.command()(registry.promote)
app.command()(serve.serve)
app.add_typer(release.app, name="release")
app.command()(release.preflight)
app.command()(retraining.monitor)
app.command()(retraining.diff)
app.command()(evaluation.evaluate)
app.command()(evaluation.compare)
app.command()(report.report)


class Stage(StrEnum):
    INGEST = "ingest"
    VALIDATE = "validate"
    DEDUP = "dedup"
    SPLIT = "split"
    AUGMENT = "augment"
    TRAIN = "train"
    EVALUATE = "evaluate"
    AUDIT = "audit"
    REPORT = "report"
    PROMOTE = "promote"


class Ui(StrEnum):
    MLFLOW = "mlflow"
    PREFECT = "prefect"


@app.command()
def run(
    profile: Annotated[
        str | None, typer.Option(help="Write a profile of profiles/ into params.yaml first.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change one value of params.yaml."),
    ] = None,
    promote: Annotated[bool, typer.Option(help="Or stop before the registry is asked.")] = True,
    ray: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Train cells on a Ray cluster: HOST:PORT, or auto."),
    ] = None,
) -> None:
    """Run the whole pipeline as a Prefect flow: only what DVC finds stale."""
    from flows.runs import outcome, params_file
    from tasks import project_lock
    from tasks.graph import dvc_graph

    with project_lock.hold_project():
        if profile or values:
            params_file.rewrite(profile, values or [])
        params_file.check()
        if dvc_graph.stale_stages(promote):
            from flows.runs import pipeline

            pipeline.run(promote, ray)
        else:
            print("Nothing to do: every result is newer than what it depends on.")
    print(outcome.describe(promote))


@app.command()
def predict(
    images: Annotated[
        list[Path], typer.Argument(help="Films (JPEG, PNG, DICOM, ...) or folders of them.")
    ],
    bundle: Bundle = None,
    alias: Alias = "champion",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Probability of pneumonia for single films. For research, not for diagnosis."""
    from flows.serving.models import load_model, predict_files

    model = load_model(bundle, alias)
    predictions = predict_files(model, images)
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


@app.command()
def certificate(
    source: Annotated[str, typer.Option(help="Labelled images, as for ingest.source.")],
    out: Annotated[Path, typer.Option(help="The JSON; a page to read (.md) is put beside it.")],
) -> None:
    """Say what the splits of a source share: duplicates, near-duplicates, patients."""
    from pneumo_core.atomic import write_json, write_text
    from pneumo_core.evaluation.any_source import certify_source
    from pneumo_core.params import IngestParams
    from pneumo_core.preparation.certificate import describe
    from tasks.stores.sources import open_source

    found = certify_source(open_source(IngestParams(source=source)))
    write_json(out, found)
    write_text(out.with_suffix(".md"), describe(found, source))
    print(f"{'Valid' if found['valid'] else 'NOT valid: ' + '; '.join(found['faults'])}")
    for kind in ("exact_duplicates", "near_duplicates", "patients"):
        print(f"  {kind}: {', '.join(f'{value} {what}' for what, value in found[kind].items())}")
    print(f"Written to {out} and {out.with_suffix('.md')}")


@augment_app.command("compare")
def augment_compare(
    out: Annotated[
        Path, typer.Option(help="Folder for index.html, comparison.json and comparison.csv.")
    ] = Path("var/augment_compare"),
    size_per_class: Annotated[
        int, typer.Option(min=10, help="Training films of each class in one training.")
    ] = 400,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each recipe.")] = 3,
    model: Annotated[
        str | None, typer.Option(help="A timm name; otherwise the first of train.models.")
    ] = None,
    strategy: Annotated[Strategy, typer.Option(help="What trains.")] = Strategy.FROZEN,
) -> None:
    """Train with each of the twelve recipes and with none, and judge them on validation."""
    from pneumo_core import params
    from tasks import paths
    from tasks.commands import augment_compare as body

    body.run(params.load(paths.PARAMS), out, size_per_class, seeds, model, strategy)


@app.command()
def benchmark(
    out: Annotated[Path, typer.Option(help="Folder for benchmark.json and benchmark.svg.")],
    models: Annotated[str | None, typer.Option(help="timm names: A,B", metavar="A,B")] = None,
    strategies: Annotated[
        str | None, typer.Option(help="frozen, partial, full", metavar="A,B")
    ] = None,
    image_size: Annotated[int, typer.Option(help="Pixels a side.")] = 224,
    batch: Annotated[int | None, typer.Option(help="Films a step.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each measurement.")] = 8,
) -> None:
    """Measure how fast models train here, beside a plain loop. No data needed."""
    from pneumo_core import params
    from tasks import paths
    from tasks.commands import benchmark as body

    chosen = params.load(paths.PARAMS)
    body.run(chosen, out, models, strategies, image_size, batch, seconds)


@app.command()
def ui(
    which: Ui,
    port: Annotated[
        int | None, typer.Option(help="Otherwise 5000 (MLflow), 4200 (Prefect).")
    ] = None,
) -> None:
    """Serve the MLflow or the Prefect page of this project on 127.0.0.1, for a browser."""
    from flows.services import pages

    pages.serve(which.value, port)


@app.command()
def services() -> None:
    """Start what a team shares, until Ctrl-C: PostgreSQL, MLflow, Prefect with its worker."""
    from flows.services import supervisor as body

    body.serve()


@app.command()
def stage(
    name: Stage,
    model: Annotated[str | None, typer.Argument(help="train only: a timm name")] = None,
    strategy: Annotated[
        str | None, typer.Argument(help="train only: frozen, partial, full")
    ] = None,
) -> None:
    """Run the body of one stage, as dvc.yaml does. Use `dvc repro` or `pneumo run` instead."""
    from flows.runs.stages import run_body

    run_body(name.value, model, strategy)


def main() -> None:
    """Errors that pneumo knows are one sentence; `--debug` shows where they came from."""
    telemetry_off.apply()
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments)
    except (PneumoError, OSError) as error:
        if debug:
            raise
        print(f"pneumo: {sentence(error)}", file=sys.stderr)
        sys.exit(1)
