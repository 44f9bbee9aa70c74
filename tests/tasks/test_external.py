"""External sets: scored by every cell, told from the pipeline's own films, refused where empty."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from flows.runs import params_file
from pneumo_core import params
from pneumo_core.errors import DataError, EvaluationError, ParamsError
from pneumo_core.params import Params
from pneumo_core.sources.phantom import PhantomParams, PhantomSource, PhantomSplit
from tasks import external, paths, promote, report
from tasks.graph import dvc_graph
from tasks.tracking import connection

CELLS = ("test_efficientnet-full", "test_efficientnet-partial")
SET = paths.EXTERNAL / "elsewhere"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn films that the pipeline does not have, with splits that count for nothing."""
    folder = tmp_path_factory.mktemp("elsewhere")
    splits = {split: PhantomSplit(NORMAL=8, PNEUMONIA=8) for split in ("train", "val", "test")}
    drawn = PhantomSource(PhantomParams(kind="phantom", seed=99, **splits)).files()
    for number, file in enumerate(drawn):  # a phantom's own names are those of the archive
        path = folder / file.split / file.label / f"film{number}{Path(file.name).suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())
    return folder


@pytest.fixture
def ask(project: Path) -> Callable[[Any], Params]:
    """Returns the project's parameters with one external set."""

    def with_set(source: Any) -> Params:
        settings = yaml.safe_load((project / "params.yaml").read_text())
        settings["evaluate"]["external"] = {"elsewhere": str(source)}
        (project / "params.yaml").write_text(yaml.safe_dump(settings))
        return params.load()

    return with_set


def found() -> Any:
    return json.loads((SET / "set.json").read_text())


def test_every_cell_is_measured_at_its_own_thresholds(
    ask: Callable[[Any], Params], films: Path
) -> None:
    external.run(ask(films), "elsewhere")
    described = found()
    assert described["files"] == {"kept": 48}
    assert described["patients"]["films"] == 48
    assert all(counts == {"films": 0, "patients": 0} for counts in described["shared"].values())
    for cell in CELLS:
        on_test = json.loads((paths.EVALUATED / cell / "test/metrics.json").read_text())
        there = json.loads((SET / cell / "metrics.json").read_text())
        assert there["n"] == 48
        assert there["refused"]["share"]["value"] == there["refused"]["n"] / 48
        for name, point in there["operating_points"].items():
            assert point["threshold"] == on_test["operating_points"][name]["threshold"]
        assert {each["figure"] for each in described["cells"][cell]["drift"]} > {"mean", "std"}
    client = connection.connect()
    logged = [
        run.data.metrics
        for run in client.search_runs([connection.experiment_id(client)])
        if run.data.metrics
    ]
    assert len(logged) == len(CELLS)
    assert all(
        {"external/elsewhere/auroc", "external/elsewhere/refused_share"} < set(m) for m in logged
    )


def test_the_pipelines_own_films_are_not_external(
    ask: Callable[[Any], Params], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    external.run(ask(project / "phantom.yaml"), "elsewhere")
    assert all(counts["films"] and counts["patients"] for counts in found()["shared"].values())
    assert "NOT EXTERNAL" in capsys.readouterr().out


def test_one_film_or_one_patient_of_train_is_found(
    ask: Callable[[Any], Params], films: Path, project: Path, tmp_path: Path
) -> None:
    mixed = Path(shutil.copytree(films, tmp_path / "mixed"))
    own = sorted((project / paths.RAW / "train/NORMAL").iterdir())[-1]
    shutil.copy(own, mixed / "test/NORMAL/another_name.png")
    external.run(ask(mixed), "elsewhere")
    shared = found()["shared"]
    assert sum(counts["films"] for counts in shared.values()) == 1
    assert shared["test"]["films"] == 0


def test_a_smaller_copy_of_a_film_of_train_is_found(
    ask: Callable[[Any], Params], films: Path, project: Path, tmp_path: Path
) -> None:
    mixed = Path(shutil.copytree(films, tmp_path / "mixed"))
    own = Image.open(sorted((project / paths.RAW / "train/PNEUMONIA").iterdir())[0]).convert("L")
    smaller = own.resize((own.width * 3 // 4, own.height * 3 // 4))
    smaller.save(mixed / "test/PNEUMONIA/another_name.jpeg", quality=85)
    external.run(ask(mixed), "elsewhere")
    shared = found()["shared"]
    assert sum(counts["films"] for counts in shared.values()) == 1
    assert shared["test"]["films"] == 0
    assert not found()["is_external"]


def broken(films: Path) -> None:
    for path in films.rglob("*.*"):
        path.write_bytes(b"no film")


def one_class(films: Path) -> None:
    for path in films.glob("*/PNEUMONIA"):
        shutil.rmtree(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (broken, "external set elsewhere: None of the 48 files can be used; most often: "),
        (one_class, "external set elsewhere: 0 of 24 films are PNEUMONIA"),
    ],
)
def test_a_set_that_shows_nothing_is_an_error(
    damage: Callable[[Path], None],
    reason: str,
    ask: Callable[[Any], Params],
    films: Path,
    tmp_path: Path,
) -> None:
    damaged = Path(shutil.copytree(films, tmp_path / "damaged"))
    damage(damaged)
    with pytest.raises(EvaluationError, match=reason):
        external.run(ask(damaged), "elsewhere")
    assert not SET.exists()


def test_a_set_that_nobody_named_is_an_error(ask: Callable[[Any], Params], films: Path) -> None:
    with pytest.raises(EvaluationError, match=r"evaluate\.external has no set 'moon'"):
        external.run(ask(films), "moon")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # on importing dvc
def test_a_set_of_one_class_is_refused_before_anything_is_trained(
    films: Path, tmp_path: Path, make_project: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = Path(shutil.copytree(films, tmp_path / "damaged"))
    one_class(damaged)
    monkeypatch.chdir(make_project())
    with pytest.raises(DataError, match="The external set x has no PNEUMONIA films"):
        params_file.rewrite(None, [f"evaluate.external={{x: {damaged}}}"])
    with pytest.raises(ParamsError, match="should match pattern"):
        params_file.rewrite(None, [f"evaluate.external={{'x; y': {films}}}"])
    Path("profiles/own.yaml").write_text(f"evaluate: {{external: {{x: {films}}}}}")
    params_file.rewrite("own", [])
    assert params.load().evaluate.external == {"x": str(films)}
    stale = dvc_graph.stale_stages()
    assert stale["external@x"] == {"versions", "ingest", "validate", "split", "evaluate"}
    assert "external@x" in stale["report"] & stale["promote"]
    assert "external@x" not in stale["audit"]


def test_gate_and_report_read_what_the_stage_wrote(
    ask: Callable[[Any], Params], films: Path, project: Path
) -> None:
    policy = project / "mlflow/phantom/champion.yaml"
    asked = yaml.safe_load(policy.read_text())
    asked["external_min_ci_low"] = {"elsewhere": {"auroc": 0.99}}
    policy.write_text(yaml.safe_dump(asked))
    settings = ask(films)
    proposal = promote.propose(settings.promote, "champion")
    assert "external set elsewhere: missing, asked for: scored" in proposal.decision.reasons
    external.run(settings, "elsewhere")
    gates = {
        gate.name: gate for gate in promote.propose(settings.promote, "champion").decision.gates
    }
    assert gates["external set elsewhere: model"].passed
    assert gates["external set elsewhere: films or patients of our own"].passed
    floor = gates["external set elsewhere: auroc, lower bound"]
    metrics = json.loads((SET / str(proposal.cell) / "metrics.json").read_text())
    assert (floor.found, floor.passed) == (metrics["auroc"]["ci_low"], False)
    shown = report._external("elsewhere", str(films), str(proposal.cell))
    assert (shown.is_external, shown.metrics) == (True, metrics)
    assert shown.drift
