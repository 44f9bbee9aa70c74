"""`pneumo evaluate` and `pneumo compare`: figures without the pipeline."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pneumo_core.errors import EvaluationError
from pneumo_core.params import EvaluateParams

Bundle = Annotated[
    Path | None,
    typer.Option(help="Folder of a bundle, to be used instead of the registry's model."),
]
Alias = Annotated[str, typer.Option(help="Alias of the model in the registry.")]
SourceOption = Annotated[str | None, typer.Option(help="Labelled images, as for ingest.source.")]
PatientsOption = Annotated[
    str | None,
    typer.Option(help="Who is on a film: a rule or a pattern, in place of ingest.patients."),
]
SplitOption = Annotated[str, typer.Option(help="Split of the source; all: every film of it.")]

ENDS = ("value", "ci_low", "ci_high")
SHOWN = ("auroc", "accuracy", "sensitivity", "specificity", "brier")


def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and predictions.csv.")],
    source: SourceOption = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Measure this file (columns label, probability).", metavar="CSV"),
    ] = None,
    split: SplitOption = "test",
    bundle: Bundle = None,
    alias: Alias = "champion",
    patients: PatientsOption = None,
    prevalence: Annotated[
        list[float] | None,
        typer.Option(
            min=0.001, max=0.999, help="Share of films with pneumonia in use; may be repeated."
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Compare the groups of these columns alone.", metavar="sex,view,..."),
    ] = None,
) -> None:
    """Measure a model on labelled films, or measure the predictions in a CSV file."""
    settings = _settings(prevalence, by)
    if predictions is not None and source is None:
        from pneumo_core.evaluation.evaluation import evaluate_predictions
        from pneumo_core.metrics.predictions import read_predictions

        metrics = evaluate_predictions(out, read_predictions(predictions), settings)
    elif source is not None and predictions is None:
        from flows.serving.models import load_model
        from pneumo_core.inference import api

        model = load_model(bundle, alias)
        films = _open(source, patients, settings.subgroups)
        metrics = api.evaluate(model.reader, films, split, out, settings)
        print(model.describe())
        print(f"Files of {split}: {metrics['states']}")
        _warn_of_training_films(metrics)
    else:
        raise EvaluationError("Give either labelled films (--source) or a CSV (--predictions).")
    _print_figures(metrics)
    _print_groups(metrics, drawn=bool(by))
    print(f"Written to {out}")


def _settings(prevalence: list[float] | None, by: str | None) -> EvaluateParams:
    from pneumo_core.params import load_measurement

    settings = load_measurement().evaluate
    if prevalence:
        settings = settings.model_copy(update={"prevalences": tuple(prevalence)})
    if by:
        columns = tuple(column.strip() for column in by.split(","))
        settings = settings.model_copy(update={"subgroups": columns})
    return settings


def compare(
    a: Annotated[Path, typer.Argument(help="A bundle, the folder of an evaluation, or a CSV.")],
    b: Annotated[Path, typer.Argument(help="The same, of the other model.")],
    source: SourceOption = None,
    split: SplitOption = "test",
    patients: PatientsOption = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
) -> None:
    """Test whether two models differ on the same films."""
    from pneumo_core.atomic import write_json
    from pneumo_core.inference import api
    from pneumo_core.metrics.paired import DIFFERENCES
    from pneumo_core.params import load_measurement

    point = load_measurement().evaluate.operating_point
    found = api.compare(a, b, None if source is None else _open(source, patients), split, point)
    if out is not None:
        write_json(out, {"names": {"a": str(a), "b": str(b)}} | found)
    print(f"{a} minus {b}, on {found['n']} films, {found['n_positive']} with pneumonia")
    (pair_found,) = found["pairs"]
    for name in DIFFERENCES:
        each = pair_found[name]
        verdict = "different" if each["p"] < found["alpha"] else "tied"
        print(
            f"  {name:18} {each['value']:+.4f} [{each['ci_low']:+.4f}, {each['ci_high']:+.4f}]"
            f"  p {each['p']:.4f}  {verdict}"
        )


def _warn_of_training_films(metrics: dict[str, Any]) -> None:
    if metrics["num_trained_on"]:
        print(
            f"Warning: the model was trained on {metrics['num_trained_on']} of these "
            f"{metrics['n']} films. The figures are better than on new films.",
            file=sys.stderr,
        )


def _open(source: str, patients: str | None, by: Sequence[str] = ()) -> Any:
    from pneumo_core.evaluation.any_source import metadata_for
    from tasks.stores.sources import open_by_project

    return open_by_project(source, patients, metadata_for(by))


def _print_figures(metrics: dict[str, Any]) -> None:
    print(
        f"{metrics['n']} films of {metrics['n_patients']} patients, {metrics['n_positive']} "
        f"with pneumonia; {metrics['operating_point']} at {metrics['threshold']:.3f}"
    )
    for name in SHOWN:
        value, low, high = metrics[name].values()
        print(f"  {name:12} {value:.3f} [{low:.3f}, {high:.3f}]")
    if "refused" in metrics:
        refused, share = metrics["refused"]["n"], metrics["refused"]["share"]
        print(
            f"  {refused} films look unlike the training films; the service would refuse them: "
            f"{share['value']:.1%} [{share['ci_low']:.1%}, {share['ci_high']:.1%}]"
        )
    for there in metrics["operating_points"][metrics["operating_point"]]["predictive"]:
        per_1000 = there["per_1000"]
        print(
            f"  of 1,000 films, {there['prevalence']:.0%} with pneumonia: "
            f"{per_1000['missed']['value']:.0f} of {per_1000['positive']:.0f} missed, "
            f"{per_1000['false_alarms']['value']:.0f} of {per_1000['negative']:.0f} false alarms"
        )


def _print_groups(metrics: dict[str, Any], drawn: bool) -> None:
    """Print the answer for each dimension and its intervals, or only where groups differ."""
    from pneumo_core.metrics.metrics import Estimate
    from pneumo_core.metrics.subgroups import FIGURES
    from pneumo_core.report.interval_plot import draw_intervals
    from pneumo_core.report.sections import subgroups
    from pneumo_core.report.words import Words

    words = Words("en")
    for dimension, groups in metrics["subgroups"].items():
        answer = subgroups.of_dimension(dimension, metrics)
        if drawn or answer.level in ("bad", "caution"):
            mark = words(f"trust.mark_{answer.level}")
            print(f"Groups by {dimension}: {mark}. {subgroups.sentence(answer, words)}")
        shown = {
            f"  {subgroups.short_name(dimension, name, words)} ({group['n']})": group
            for name, group in groups.items()
        }
        for figure in FIGURES if drawn else ():
            intervals = {
                name: Estimate(*(group[figure][end] for end in ENDS))
                for name, group in shown.items()
                if figure in group
            }
            if intervals:
                print(f"  {figure}\n{draw_intervals(intervals)}")
