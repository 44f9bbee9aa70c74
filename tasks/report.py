"""What was found, as pages to read: in English, in Korean, and as JSON."""

from importlib.metadata import version

import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.atomic import read_json, replacing_folder
from pneumo_core.data import leakage, manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.metrics.paired import tied_with
from pneumo_core.metrics.predictions import read_table
from pneumo_core.models import bundle
from pneumo_core.params import Params, ReportParams
from pneumo_core.report import files
from pneumo_core.report.document import Pictures
from pneumo_core.report.film_figures import TrainingFilms, measure
from pneumo_core.report.findings import CellFindings, DataFindings, ExternalSet, Findings
from pneumo_core.report.sections.cases import show_cases
from tasks import paths
from tasks.graph import provenance
from tasks.tracking import connection, runs


def run(params: ReportParams) -> None:
    settings = all_params.load()
    found = _findings(settings)
    scorer = Scorer.load(paths.EVALUATED / found.winner.name / paths.BUNDLE)
    train = TrainingFilms(
        films=manifest.kept(found.data.table, "train"),
        images=found.data.images,
        augmented=pd.read_parquet(paths.TRAIN_FILMS),
        augmented_images=PackedImages.open(paths.TRAIN_IMAGES),
    )
    pictures = Pictures(show_cases(found, scorer, params), measure(train, params.seed))
    with replacing_folder(paths.REPORT) as draft:
        files.write(draft, found, pictures)
    with connection.copying("the report"):
        runs.record_report(settings.train)
    print(f"report: {paths.REPORT / paths.PAGE}")


def _findings(settings: Params) -> Findings:
    cells = pd.read_csv(paths.LEADERBOARD)["cell"].tolist()
    comparisons = read_json(paths.COMPARISONS)
    of_winner = read_json(paths.WINNER_AUDIT)
    return Findings(
        data=DataFindings(
            source=settings.ingest.source,
            table=manifest.read(paths.SPLIT),
            images=PackedImages.open(paths.IMAGES),
            num_augmented=manifest.count(pd.read_parquet(paths.TRAIN_FILMS), "label"),
            certificate=leakage.read(paths.CERTIFICATE),
        ),
        cells=tuple(map(_cell, cells)),
        provenance=_provenance(settings),
        tied=frozenset(tied_with(cells[0], comparisons["choice"])),
        recipe=_recipe(settings),
        audit=read_json(paths.AUDIT),
        robustness=of_winner["robustness"],
        saliency=of_winner["saliency"],
        occlusion=of_winner["occlusion"],
        external=tuple(
            _external(name, source, cells[0]) for name, source in settings.evaluate.external.items()
        ),
    )


def _cell(name: str) -> CellFindings:
    folder = paths.EVALUATED / name
    description = bundle.read_description(folder / paths.BUNDLE)
    trained = description.origin.params["model"], description.strategy
    return CellFindings(
        description=description,
        test=read_json(folder / "test" / "metrics.json"),
        predictions=read_table(folder / "test" / "predictions.csv"),
        **{
            name: read_json(folder / split / "metrics.json")
            for name, split in zip(("val", "shifted"), paths.VALIDATIONS, strict=True)
        },
        history=None if description.members else pd.read_csv(paths.learning_curve(*trained)),
    )


def _external(name: str, source: str, winner: str) -> ExternalSet:
    folder = paths.EXTERNAL / name
    described = read_json(folder / paths.EXTERNAL_SET)
    metrics = read_json(folder / winner / "metrics.json")
    return ExternalSet(name, source, described, metrics, described["cells"][winner]["drift"])


def _recipe(settings: Params) -> str:
    augment = settings.augment
    return " ".join([augment.recipe, *(f"{name} {list(r)}" for name, r in augment.ranges.items())])


def _provenance(settings: Params) -> dict[str, str]:
    hashes = provenance.locked_hashes("ingest", "split", "augment")
    return {
        "source": settings.ingest.source,
        "recipe": _recipe(settings),
        **{f"DVC: {path}": md5 for path, md5 in hashes.items()},
        "pneumo": version("pneumo"),
        "git_commit": provenance.tags().get("git_commit", "not in a repository"),
    }
