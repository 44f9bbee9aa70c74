"""What was found, as one page to open."""

import json
from importlib.metadata import version

import pandas as pd

from pneumo_core import bundle, manifest
from pneumo_core import params as all_params
from pneumo_core.atomic import replacing_folder
from pneumo_core.charts import standalone
from pneumo_core.data_figures import draw_data_figures
from pneumo_core.film_figures import TrainingFilms
from pneumo_core.packed import PackedImages
from pneumo_core.params import Params, ReportParams
from pneumo_core.report import CellFindings, DataFindings, Findings, count_films, render
from pneumo_core.scoring import Scorer
from tasks import dvc_graph, places, provenance, runs, tracking


def run(params: ReportParams) -> None:
    settings = all_params.load(places.PARAMS)
    leaderboard = pd.read_csv(places.LEADERBOARD)
    found = Findings(
        data=_data(settings.ingest.source),
        leaderboard=leaderboard,
        cells=tuple(map(_cell, leaderboard["cell"])),
        audit=json.loads(places.AUDIT.read_text()),
        provenance=_provenance(settings),
    )
    figures = draw_data_figures(count_films(found.data), _training_films(found.data), params.seed)
    scorer = Scorer.load(places.EVALUATED / found.winner.name / places.BUNDLE)
    page = render(found, figures, scorer, params)
    with replacing_folder(places.REPORT) as draft:
        (draft / places.PAGE).write_text(page, encoding="utf-8")
        (draft / places.FIGURES).mkdir()
        for figure in figures:
            path = draft / places.FIGURES / f"{figure.name}.svg"
            path.write_text(standalone(figure.svg), encoding="utf-8")
    with tracking.copying("the report"):
        runs.record_report(settings.train)
    print(f"report: {places.REPORT / places.PAGE}")


def _data(source: str) -> DataFindings:
    return DataFindings(
        source=source,
        table=manifest.read(places.SPLIT),
        images=PackedImages.open(places.IMAGES),
        num_copies=manifest.count(pd.read_parquet(places.TRAIN_COPIES), "label"),
        certificate=json.loads(places.CERTIFICATE.read_text()),
    )


def _training_films(data: DataFindings) -> TrainingFilms:
    return TrainingFilms(
        films=manifest.kept(data.table, "train"),
        images=data.images,
        copies=pd.read_parquet(places.TRAIN_COPIES),
        copy_images=PackedImages.open(places.TRAIN_IMAGES),
    )


def _cell(name: str) -> CellFindings:
    folder = places.EVALUATED / name
    return CellFindings(
        description=bundle.read_description(folder / places.BUNDLE),
        val=json.loads((folder / "val" / "metrics.json").read_text()),
        test=json.loads((folder / "test" / "metrics.json").read_text()),
        predictions=pd.read_csv(folder / "test" / "predictions.csv"),
        history=pd.read_csv(places.TRAINED / name / places.HISTORY),
    )


def _provenance(settings: Params) -> dict[str, str]:
    hashes = dvc_graph.locked_hashes("ingest", "split", "augment")
    return {
        "data source": settings.ingest.source,
        "augmentation recipe": settings.augment.recipe,
        **{f"DVC hash of {path}": md5 for path, md5 in hashes.items()},
        "pneumo that made this page": version("pneumo"),
        "git commit": provenance.tags().get("git_commit", "not in a repository"),
    }
