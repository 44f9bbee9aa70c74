"""What a user types, and what comes back: one sentence and an exit code, never a traceback."""

import hashlib
import json
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.cli.app import HEADINGS, app
from pneumo_core.data import manifest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(make_project: Callable[[], Path]) -> Path:
    return make_project()


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A small labelled folder: drawn films of both classes in train and test."""
    from pneumo_core.sources.phantom import PhantomParams, PhantomSource, PhantomSplit

    def split(count: int) -> PhantomSplit:
        return PhantomSplit(NORMAL=count, PNEUMONIA=count)

    params = PhantomParams(kind="phantom", seed=1, train=split(12), val=split(2), test=split(6))
    for file in PhantomSource(params).files():
        path = tmp_path / "films" / file.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read())
    return tmp_path / "films"


def snapshot(project: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and ".git/" not in str(path) and ".dvc/" not in str(path)
    }


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["run", "--set", "augment.colour=3"], "unknown key augment.colour"),
        (["run", "--set", "split.val_per_class=-5"], "split.val_per_class = -5"),
        (["run", "--set", "no equals sign"], "expected section.key=value"),
        (["run", "--profile", "moon"], "the profiles are: archive-cpu"),
        (["predict", "--bundle", "nowhere", "film.jpeg"], "no complete bundle"),
        (["predict", "film.jpeg"], "No model pneumo@champion in the registry"),
        (["stage", "train"], "train needs a timm model"),
        (["stage", "dedup"], "run the stage before this one first"),
        (["augment", "compare"], "run the stage before this one first"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_changes_nothing(
    arguments: list[str], output: str, project: Path, run: Run
) -> None:
    before = snapshot(project)
    result = run("pneumo", *arguments, cwd=project)
    assert result.returncode == 1
    assert output in result.stderr
    assert "Traceback" not in result.stderr
    after = {k: v for k, v in snapshot(project).items() if not k.startswith("var/")}
    assert after == {k: v for k, v in before.items() if not k.startswith("var/")}


def test_an_unknown_key_in_the_file_is_named(make_project: Callable[[], Path], typed: Run) -> None:
    project = make_project()
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("  recipe:", "  recipee: x\n  recipe:"))
    result = typed("pneumo", "run", cwd=project)
    assert result.returncode == 1
    assert "unknown key augment.recipee" in result.stderr
    assert "Traceback" not in result.stderr


def source_of(kind: str, films: Path) -> Path:
    match kind:
        case "wrong path":
            return films / "nowhere"
        case "empty folder":
            (films.parent / "empty").mkdir()
            return films.parent / "empty"
        case "missing class":
            shutil.rmtree(films / "train" / "NORMAL")
            return films
        case "hostile zip":
            path = films.parent / "hostile.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("../outside.jpeg", b"x")
            return path
        case _:
            raise AssertionError(kind)


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        ("wrong path", "nowhere"),
        ("empty folder", "No images in"),
        ("missing class", "train/NORMAL"),
        ("hostile zip", "points outside it"),
    ],
)
def test_a_bad_source_is_one_sentence_and_leaves_no_results(
    kind: str, output: str, films: Path, make_project: Callable[[], Path], run: Run
) -> None:
    project = make_project()
    source = source_of(kind, films)
    params = project / "params.yaml"
    before = params.read_text()
    refused = run("pneumo", "run", "--set", f"ingest.source={source}", cwd=project)
    assert params.read_text() == before
    params.write_text(before.replace("sources/phantom.yaml", str(source)))
    failed = run("pneumo", "stage", "ingest", cwd=project)
    for result in (refused, failed):
        assert result.returncode == 1
        assert output in result.stderr
        assert "Traceback" not in result.stderr
    assert not [path for path in project.glob("results/**/*") if path.is_file()]


def test_a_stage_that_fails_in_the_flow_is_one_sentence(
    films: Path, make_project: Callable[[], Path], run: Run
) -> None:
    project = make_project()
    shutil.rmtree(films / "test" / "NORMAL")
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("sources/phantom.yaml", str(films)))
    result = run("pneumo", "run", cwd=project)
    assert result.returncode == 1
    assert "pneumo: Stage ingest failed. The source has no files in test/NORMAL" in result.stderr
    assert "NotReady" not in result.stderr
    assert "Traceback" not in result.stderr


def test_one_percent_of_broken_files_is_quarantined_and_counted(
    films: Path, make_project: Callable[[], Path], run: Run
) -> None:
    import pandas as pd

    project = make_project()
    (films / "train" / "NORMAL" / "깨진 파일.jpeg").write_bytes(b"")
    whole = next((films / "train" / "PNEUMONIA").iterdir()).read_bytes()
    (films / "train" / "PNEUMONIA" / "cut.jpeg").write_bytes(whole[: len(whole) // 2])
    (films / "test" / "NORMAL" / "linked.jpeg").symlink_to("/etc/hostname")
    params = project / "params.yaml"
    params.write_text(
        params.read_text()
        .replace("sources/phantom.yaml", str(films))
        .replace("max_quarantined_fraction: 0.05", "max_quarantined_fraction: 0.1")
    )
    result = run("dvc", "repro", "dedup", cwd=project)
    assert result.returncode == 0, result.stderr
    quarantine = pd.read_csv(project / "results/validate/quarantine.csv")
    names = pd.read_parquet(project / "results/ingest/names.parquet")
    reason_of = quarantine.merge(names, on="image_id").set_index("file")["reason"]
    table = pd.read_parquet(project / "results/dedup/manifest.parquet")
    assert "empty" in reason_of["train/NORMAL/깨진 파일.jpeg"]
    assert "truncated" in reason_of["train/PNEUMONIA/cut.jpeg"]
    assert "symbolic link" in reason_of["test/NORMAL/linked.jpeg"]
    assert len(table) == 2 * (12 + 2 + 6) + 3
    assert table["state"].value_counts().to_dict() == {"kept": 40, "quarantined": 3}


def test_too_many_broken_files_stop_the_run_and_are_named(
    films: Path, make_project: Callable[[], Path], run: Run
) -> None:
    project = make_project()
    (films / "train" / "NORMAL" / "IM-0999-0001.jpeg").write_text("no film")
    (films / "train" / "NORMAL" / "IM-0999-0002.jpeg").write_text("no film")
    (films / "train" / "NORMAL" / "IM-0999-0003.jpeg").write_text("no film")
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("sources/phantom.yaml", str(films)))
    result = run("dvc", "repro", "dedup", cwd=project)
    assert result.returncode != 0
    film = hashlib.sha256(b"no film").hexdigest()[:16]
    assert f"{film}, {film}-2, {film}-3" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project / "results" / "dedup").exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    trained: Path, tmp_path: Path, run: Run
) -> None:
    """The limit on file sizes stands in for the disk: the same writes fail in the same places."""
    project = Path(shutil.copytree(trained, tmp_path / "project", symlinks=True))
    shutil.rmtree(project / "results" / "augment")
    result = run("bash", "-c", "ulimit -f 300; exec pneumo stage augment", cwd=project)
    assert result.returncode == 1
    assert "File too large" in result.stderr
    assert "Traceback" not in result.stderr
    left = list((project / "results" / "augment").rglob("*"))
    assert [path.name for path in left if path.name == "index.json" or path.name[0] == "."] == []
    assert run("pneumo", "stage", "augment", cwd=project).returncode == 0


@pytest.mark.parametrize("command", [("ui", "mlflow"), ("ui", "prefect"), ("serve",)], ids=" ".join)
def test_a_port_that_is_taken_is_one_sentence(
    command: tuple[str, ...], project: Path, small_bundle: Path, typed: Run
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        bundle = ("--bundle", small_bundle) if command == ("serve",) else ()
        result = typed("pneumo", *command, *bundle, "--port", port, cwd=project)
    assert result.returncode == 1
    assert result.stderr.startswith(f"pneumo: 127.0.0.1:{port} cannot be used")


def test_help_is_ordered_by_use() -> None:
    order = [name for commands in HEADINGS.values() for name in commands]
    shown = CliRunner().invoke(app, ["--help"]).stdout.splitlines()
    starts = [line.strip("│╭╰─╮╯ ").partition(" ")[0] for line in shown]
    assert [word for word in starts if word in order] == order
    assert order[:4] == ["run", "predict", "evaluate", "report"]
    assert order[-2:] == ["services", "stage"]


def test_predict_with_the_champion(trained: Path, typed: Run, tmp_path: Path) -> None:
    """A film, and a folder with the same one larger and with what is none."""
    film = next((trained / "results/ingest/raw/test/PNEUMONIA").iterdir())
    folder = tmp_path / "폴더"
    folder.mkdir()
    Image.open(film).resize((500, 400)).save(folder / "A 한글 이름.png")
    (folder / "B.png").write_text("no film")
    result = typed("pneumo", "predict", "--json", film, folder, cwd=trained)
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 1
    assert [set(entry) for entry in entries] == [
        {"path", "probability", "decision"},
        {"path", "probability", "decision"},
        {"path", "error"},
    ]
    assert abs(entries[0]["probability"] - entries[1]["probability"]) < 0.2


def test_a_champion_of_other_films_than_the_last_run_says_so(
    trained: Path, typed: Run, tmp_path: Path
) -> None:
    project = Path(shutil.copytree(trained, tmp_path / "project", symlinks=True))
    film = next((project / "results/ingest/raw/test/PNEUMONIA").iterdir())
    same = typed("pneumo", "predict", film, cwd=project)
    split = project / "results/split/manifest.parquet"
    manifest.write(manifest.read(split).iloc[1:], split)
    other = typed("pneumo", "predict", film, cwd=project)
    assert (same.returncode, other.returncode) == (0, 0)
    assert "It did not learn from the films in results/split" in other.stderr
    assert "It did not learn" not in same.stderr


def test_evaluate_gives_the_pipelines_own_figures(
    trained: Path, typed: Run, tmp_path: Path
) -> None:
    """On the same test films, through files instead of packed arrays."""
    result = typed(
        "pneumo", "evaluate", "--source", "sources/phantom.yaml", "--out", tmp_path, cwd=trained,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    (cell,) = (trained / "results/evaluate/cells").iterdir()
    expected = json.loads((cell / "test" / "metrics.json").read_text())
    del expected["without_suspects"]  # only the pipeline knows what was trained on
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found.pop("refused")["n"] == 0  # the service refuses none of its own
    assert found == expected


def test_evaluate_takes_a_zip_with_only_a_test_split(
    trained: Path, typed: Run, films: Path, tmp_path: Path
) -> None:
    path = tmp_path / "test only.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for film in sorted((films / "test").rglob("*.jpeg")):
            archive.write(film, Path("chest_xray") / film.relative_to(films))
    (cell,) = (trained / "results/evaluate/cells").iterdir()
    result = typed(
        "pneumo", "evaluate", "--bundle", cell / "bundle", "--source", path,
        "--out", tmp_path / "out", cwd=trained,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["n"], metrics["n_positive"], metrics["split"]) == (12, 6, "test")
