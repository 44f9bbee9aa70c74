"""One cell of the grid: weights, blueprint and curves from the packed training set."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from pneumo_core import params as all_params
from pneumo_core.atomic import replacing_folder, write_json
from pneumo_core.data import leakage, manifest
from pneumo_core.data.packed import PackedImages
from pneumo_core.models import bundled_model
from pneumo_core.models.bundle import Blueprint, TrainingRecord
from pneumo_core.params import TrainParams
from pneumo_core.training.context import Cell
from pneumo_core.training.events import (
    Event,
    JsonLines,
    LearningCurve,
    ProgressBar,
    write_learning_curve,
)
from pneumo_core.training.processes import joined
from pneumo_core.training.training import LabelledFilms, TrainedModel, train
from tasks import paths
from tasks.device_lock import own_device
from tasks.graph import provenance
from tasks.tracking.runs import Subject
from tasks.tracking.training_run import training_run


def run(params: TrainParams, cell: Cell) -> None:
    table = manifest.read(paths.SPLIT)
    films = pd.read_parquet(paths.TRAIN_FILMS)
    train_films = LabelledFilms(
        PackedImages.open(paths.TRAIN_IMAGES), manifest.label_indices(films).to_numpy()
    )
    val = manifest.kept(table, "val")
    val_images = PackedImages.open(paths.IMAGES)[val["packed_row"].to_numpy(np.int64)]
    val_films = LabelledFilms(val_images, manifest.label_indices(val).to_numpy())
    origin_of_data = provenance.data_hashes()
    certificate = leakage.read(paths.CERTIFICATE)
    leakage.require_valid(certificate, table, films["image_id"])
    size_px = train_films.images.shape[1]
    used = {"model": cell.architecture, "strategy": cell.strategy.value, "image_size_px": size_px}
    curve = paths.learning_curve(cell.architecture, cell.strategy)
    used |= params.of_cell(cell.architecture, cell.strategy) | all_params.load().augment.shown
    with own_device(), joined() as processes:
        if processes.rank > 0:
            train(cell, train_films, val_films, params, paths.SCRATCH, lambda _: None)
            return
        subject = Subject(cell.name, used, **origin_of_data)
        with training_run(subject, params) as mlflow_sink:
            sinks = (
                ProgressBar(),
                JsonLines(paths.EVENTS / f"{cell.name}.jsonl"),
                LearningCurve(curve),
                mlflow_sink,
            )

            def publish(event: Event) -> None:
                for sink in sinks:
                    sink(event)

            trained = train(cell, train_films, val_films, params, paths.SCRATCH, publish)
            origin = TrainingRecord(
                **origin_of_data,
                code_version=version("pneumo"),
                params=used,
                pretrained=trained.provenance,
            )
            folder = paths.trained(cell.architecture, cell.strategy)
            _write(folder, trained, _blueprint(cell, trained, size_px, origin))
            write_learning_curve(trained.history, curve)  # with the epochs of a killed process
            trained.checkpoint.forget()
    print(f"train: {cell.name} ends with validation AUROC {trained.kept['val_auroc']:.4f}")


def _blueprint(
    cell: Cell, trained: TrainedModel, image_size_px: int, origin: TrainingRecord
) -> Blueprint:
    return Blueprint(
        name=cell.name,
        architecture=trained.architecture.name,
        model_args=trained.architecture.model_args,
        strategy=cell.strategy.value,
        image_size_px=image_size_px,
        normalisation=trained.normalisation,
        origin=origin,
    )


def _write(folder: Path, trained: TrainedModel, blueprint: Blueprint) -> None:
    with replacing_folder(folder) as draft:
        bundled_model.write_weights(trained.model, draft / paths.WEIGHTS)
        write_json(draft / paths.BLUEPRINT, blueprint.model_dump(mode="json"))
