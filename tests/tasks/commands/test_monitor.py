"""Films in other files are no drift, other films are: drawn ones, and those of the archive."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from pneumo_core.data import manifest
from pneumo_core.errors import SourceError
from pneumo_core.evaluation.any_source import inventory_of
from pneumo_core.evaluation.reference import Reference, drift_reference, measure_films
from pneumo_core.evaluation.scoring import Scorer
from pneumo_core.evaluation.torch_engine import TorchEngine
from pneumo_core.inference.drift import Findings
from pneumo_core.models import bundle, bundled_model
from pneumo_core.models.bundle import Description, Normalisation, OperatingPoint, TrainingRecord
from pneumo_core.models.weights import create_model
from pneumo_core.params import IngestParams, MonitorParams, Params, load
from pneumo_core.sources.archive import ZipSource
from pneumo_core.sources.phantom import PhantomParams, PhantomSource, PhantomSplit
from pneumo_core.sources.source import SourceFile
from tasks import paths
from tasks.commands import monitor

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
Change = Callable[[Image.Image], bytes]


def saved(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def resized(film: Image.Image, scale: float) -> bytes:
    size = round(film.width * scale), round(film.height * scale)
    return saved(film.resize(size), "JPEG", quality=90)


def contrasted(film: Image.Image, factor: float) -> bytes:
    levels = 128 + factor * (np.asarray(film, np.float64) - 128)
    return saved(Image.fromarray(levels.clip(0, 255).astype(np.uint8)))


SAME: dict[str, Change] = {
    "as PNG": saved,
    "JPEG 90": lambda film: saved(film, "JPEG", quality=90),
    "JPEG 50": lambda film: saved(film, "JPEG", quality=50),
    "in colour": lambda film: saved(film.convert("RGB"), "JPEG", quality=75),
    "smaller": lambda film: resized(film, 0.75),
    "larger": lambda film: resized(film, 1.5),
}
OTHER: dict[str, tuple[Change, str]] = {
    "less contrast": (lambda film: contrasted(film, 0.7), "contrast"),
    "more contrast": (lambda film: contrasted(film, 1.4), "contrast"),
    "inverted": (lambda film: saved(ImageOps.invert(film)), "features"),
    "cut": (lambda film: saved(ImageOps.crop(film, (0, film.height // 4))), "geometry"),
}


@dataclass(frozen=True)
class World:
    """A project whose model was made of some films, and others of the same kind."""

    project: Path
    bundle: Path
    later: list[SourceFile]
    params: Params

    def look(self, source: Path) -> Findings:
        return monitor.run(str(source), self.bundle, "a test", self.params, self.project / "out")

    def write(self, folder: Path, change: Change | None = None) -> Path:
        """The later films as they came, or changed; in one folder, unlabelled."""
        folder.mkdir(parents=True)
        for file in self.later:
            data = file.read()
            if change is not None:
                data = change(Image.open(io.BytesIO(data)).convert("L"))
            (folder / file.name).write_bytes(data)
        return folder


def settle(
    folder: Path, known: list[SourceFile], later: list[SourceFile], architecture: str, size_px: int
) -> World:
    torch.manual_seed(0)
    model, pretrained = create_model(architecture, "auto" if "lite0" in architecture else "none", 2)
    description = Description(
        name=architecture,
        architecture=architecture,
        strategy="frozen",
        image_size_px=size_px,
        normalisation=Normalisation(0.5, 0.5),
        origin=TrainingRecord(
            data_sha256="", train_sha256="", code_version="", params={}, pretrained=pretrained
        ),
        slope=1.0,
        intercept=0.0,
        operating_points={"reading_aid": OperatingPoint(0.5, 0.4, 0.6)},
    )
    with inventory_of(known, size_px) as (table, images):
        films = manifest.kept(table)
        manifest.write(table, folder / paths.INGESTED)
        pixels = images[:]
    is_val = films["patient_group"].rank(method="dense") % 2 == 0
    films = films.assign(split=np.where(is_val, "val", "train"))
    logits, features = Scorer(TorchEngine(model, description.normalisation), description).predict(
        pixels
    )
    statistics = measure_films(pixels, films["width_px"], films["height_px"])
    reference = Reference.of(
        statistics[~is_val],
        features[~is_val],
        statistics[is_val],
        features[is_val],
        1 / (1 + np.exp(-logits[is_val])),
        manifest.label_indices(films[is_val]).to_numpy(np.int64),
        films[is_val].index.get_indexer(drift_reference(films)),
    )
    bundled_model.write_weights(model, folder / "weights")
    bundle.save(folder / "bundle", description, folder / "weights", reference.write)
    params = load(ROOT / "params.yaml").model_copy(update={"monitor": MonitorParams()})
    return World(folder, folder / "bundle", later, params)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> World:
    def films(seed: int, count: int) -> list[SourceFile]:
        none, some = (
            PhantomSplit(NORMAL=0, PNEUMONIA=0),
            PhantomSplit(NORMAL=count, PNEUMONIA=count),
        )
        params = PhantomParams(kind="phantom", seed=seed, train=none, val=some, test=none)
        return PhantomSource(params).files()

    folder = tmp_path_factory.mktemp("drawn")
    return settle(folder, films(1, 200), films(2, 60), "test_efficientnet", 64)


@pytest.fixture(scope="module")
def real(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    files = ZipSource(archive, IngestParams(source=str(archive))).files()
    lot = np.random.default_rng(0).permutation([f for f in files if f.split == "train"])
    folder = tmp_path_factory.mktemp("real")
    return settle(folder, list(lot[:500]), list(lot[500:600]), "tf_efficientnet_lite0", 96)


@pytest.fixture
def world(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    found: World = request.getfixturevalue(kind)
    monkeypatch.chdir(found.project)
    return found


REAL = {"JPEG 50", "smaller", "less contrast", "inverted"}
CASES = [(kind, name) for name in SAME | OTHER for kind in ("drawn", "real")[: 1 + (name in REAL)]]


@pytest.mark.parametrize(("kind", "name"), [case for case in CASES if case[1] in SAME])
def test_same_films_in_other_files_are_no_drift(name: str, world: World, tmp_path: Path) -> None:
    found = world.look(world.write(tmp_path / "films", SAME[name]))
    assert found.num_new == len(world.later)
    assert found.num_patients > 50
    assert found.reasons == []


@pytest.mark.parametrize(("kind", "name"), [case for case in CASES if case[1] in OTHER])
def test_other_films_are_drift(name: str, world: World, tmp_path: Path) -> None:
    change, drifting = OTHER[name]
    found = world.look(world.write(tmp_path / "films", change))
    assert drifting in {each.kind for each in found.drifted}
    assert "<strong>drifted</strong>" in (world.project / "out" / "monitor.html").read_text()


@pytest.mark.parametrize("kind", ["drawn"])
def test_films_that_ingest_has_seen_are_not_new(world: World, tmp_path: Path) -> None:
    known = manifest.read(world.project / paths.INGESTED)
    seen = world.write(tmp_path / "films")
    data = [path.read_bytes() for path in sorted(seen.iterdir())]
    rows = known.head(len(data)).assign(sha256=[hashlib.sha256(each).hexdigest() for each in data])
    manifest.write(rows.head(len(data) - 5), world.project / paths.INGESTED)
    found = world.look(seen)
    manifest.write(known, world.project / paths.INGESTED)
    assert (found.num_files, found.num_new) == (len(data), 5)
    assert found.comparisons == ()
    assert "are too few to compare" in (world.project / "out" / "monitor.html").read_text()


@pytest.mark.parametrize("kind", ["drawn"])
def test_labelled_films_are_counted_each_picture_once_and_broken_ones_told(
    world: World, tmp_path: Path
) -> None:
    folder = world.write(tmp_path / "films/train/NORMAL")
    first = min(folder.iterdir())
    (folder / "copy.jpeg").write_bytes(first.read_bytes())
    (folder / "broken.jpeg").write_text("no film")
    enough = world.params.monitor.model_copy(update={"min_new_films": len(world.later)})
    params = world.params.model_copy(update={"monitor": enough})
    found = replace(world, params=params).look(tmp_path / "films")
    assert found.num_quarantined == 1
    assert found.reasons == [f"{len(world.later)} new films with labels"]
    output = json.loads((world.project / "out" / "monitor.json").read_text())
    assert (output["num_labelled"], output["reasons"]) == (len(world.later), found.reasons)


@pytest.mark.parametrize("kind", ["drawn"])
@pytest.mark.usefixtures("world")
def test_an_empty_folder_is_an_error(drawn: World, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No files in"):
        drawn.look(tmp_path)
